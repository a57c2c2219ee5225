/// What a vendor is asked to send.
public struct OutboundSMS: Sendable {
    /// E.164 with its plus.
    public var phone: String
    /// In clear.
    public var text: String
    /// What phones show: a number, a short code or a name; or the vendor's pool, where it has such.
    public var sender: String
    /// After it the message is worth nothing.
    public var lifeSeconds: UInt64
    /// The same for each submit of this message: 1–64 of `[A-Za-z0-9-]`.
    public var key: String
    /// Where the vendor reports delivery; empty = nowhere.
    public var callback: String

    /// All of it.
    public init(
        phone: String, text: String, sender: String, lifeSeconds: UInt64, key: String, callback: String = ""
    ) {
        self.phone = phone
        self.text = text
        self.sender = sender
        self.lifeSeconds = lifeSeconds
        self.key = key
        self.callback = callback
    }

    /// The number without its plus.
    var phoneDigits: String { phone.hasPrefix("+") ? String(phone.dropFirst()) : phone }

    /// The life in the range that a vendor's field takes. Longer than the truth is better than refused: otpd itself lets the code end.
    func life(in range: ClosedRange<UInt64>) -> UInt64 {
        min(max(lifeSeconds, range.lowerBound), range.upperBound)
    }
}
