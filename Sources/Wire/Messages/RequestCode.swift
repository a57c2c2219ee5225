/// Who asks, as the web tier knows: send budgets are apart per class, and a lower class never spends a higher one's.
public enum Assurance: UInt8, Sendable, CaseIterable {
    /// Nobody has proved anything: "forgot password".
    case anonymous = 0
    /// The password (or another first factor) was right.
    case firstFactor = 1
    /// A device that this account has used before.
    case knownDevice = 2
}

/// Asks for a code for one login or one transaction. Write.
public struct RequestCode: RequestMessage {
    public static let opcode = Opcode.requestCode
    /// 6 bytes of engine time, 10 random bytes.
    public var requestID = Bytes16.zero
    /// The purpose's number in the server's configuration.
    public var purpose: UInt16 = 0
    /// An `Assurance`.
    public var assurance: UInt8 = 0
    /// Opaque, 1–128 bytes.
    public var account = AccountBytes()
    /// ASCII E.164: `+[1-9][0-9]{6,14}`.
    public var phone = PhoneBytes()
    /// A digest of the browser session; repeated at Verify and RedeemGrant.
    public var session = Bytes32.zero
    /// How the code travels; absent = 1 = SMS.
    public var channel: UInt8?
    /// The shopper's address as the web tier sees it: 4 or 16 bytes.
    public var clientIP = InlineBytes<16>()
    /// BCP 47 language of the text.
    public var locale = InlineBytes<35>()
    /// The text's last line is `@host #code`, for autofill in browsers.
    public var webHost = InlineBytes<60>()
    /// The text's last line is this app hash (Android SMS Retriever, 11 characters).
    public var androidHash = InlineBytes<11>()

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("request_id", &requestID)
        try c.u16("purpose", &purpose)
        try c.u8("assurance", &assurance)
        try c.judged8("account", &account)
        try c.judged8("phone", &phone)
        try c.bytes32("session", &session)
        try c.tagged(.critical(1), "channel", &channel)
        try c.tagged(.ignorable(2), "client_ip", &clientIP)
        try c.tagged(.ignorable(3), "locale", &locale)
        try c.tagged(.ignorable(4), "web_host", &webHost)
        try c.tagged(.ignorable(5), "android_hash", &androidHash)
    }

    public typealias Reply = ChallengeReply
}

/// The challenge as it is now; answers RequestCode and Resend.
public struct ChallengeReply: Message, Equatable {
    /// What a RequestCode or Resend did.
    public enum Disposition: UInt8, Sendable, CaseIterable {
        /// A new challenge, a message is on its way.
        case created = 1
        /// The open challenge of the same key, inside the gap: no message, no debit.
        case joined = 2
        /// The open challenge, and one more message.
        case resent = 3
    }

    /// Names the challenge in Resend, Verify, Cancel, Status.
    public var challenge = Bytes16.zero
    /// A `Disposition`.
    public var disposition: UInt8 = 0
    /// Characters of the code.
    public var codeLength: UInt8 = 0
    /// 1 = digits, 2 = letters and digits.
    public var alphabet: UInt8 = 0
    /// Wrong codes that may still be tried, the last right one included.
    public var attemptsLeft: UInt8 = 0
    /// Messages that this challenge may still send.
    public var sendsLeft: UInt8 = 0
    /// Engine time, milliseconds: no Verify after it.
    public var expiresAtMs: UInt64 = 0
    /// Engine time, milliseconds: no Resend before it.
    public var resendAtMs: UInt64 = 0

    public init() {}

    @specialized(where C == FieldEncoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("challenge", &challenge)
        try c.u8("disposition", &disposition)
        try c.u8("code_length", &codeLength)
        try c.u8("alphabet", &alphabet)
        try c.u8("attempts_left", &attemptsLeft)
        try c.u8("sends_left", &sendsLeft)
        try c.u64("expires_at_ms", &expiresAtMs)
        try c.u64("resend_at_ms", &resendAtMs)
    }
}
