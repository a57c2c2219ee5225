public import Wire

/// Something that takes a message and says what became of it.
public protocol Gateway {
    /// Hands the message on. `expiresAtWallMs`: nothing of it may be kept after it (Unix ms).
    mutating func submit(_ message: MessagePush, expiresAtWallMs: UInt64) -> ReportMessage.Outcome
    /// Called now and then: removes what has expired.
    mutating func sweep(nowWallMs: UInt64)
}

/// Why a courier doesn't start.
public struct CourierError: Error, CustomStringConvertible, Equatable {
    /// What happened and what to do.
    public let description: String

    /// A sentence or two.
    public init(_ description: String) { self.description = description }
}

/// Console and spool put codes on a screen or a disk in clear: whoever wants that must say so.
public enum PlaintextConsent {
    /// Refuses without consent.
    public static func check(_ isAllowed: Bool, gateway: String) throws(CourierError) {
        guard isAllowed else {
            throw CourierError(
                "the \(gateway) gateway shows codes in clear to anyone who can read its output. "
                    + "Use it for development only, and say so: --allow-plaintext (allow_plaintext = true).")
        }
    }
}
