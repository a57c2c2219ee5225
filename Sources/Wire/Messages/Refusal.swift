/// The body of every reply whose status isn't *done*: a fixed size, so that a refusal's length tells nothing.
public struct Refusal: Message, Equatable, Error {
    /// Where attempts don't apply.
    public static let noAttempts: UInt8 = 0xFF

    /// A `Status`, never *done*.
    public var statusCode: UInt16 = Status.unknown.rawValue
    /// A `Limit`.
    public var limitCode: UInt8 = 0
    /// A `NeutralClass`.
    public var neutral: UInt8 = 0
    /// Attempts left on the challenge; `noAttempts` where it doesn't apply.
    public var attemptsLeft: UInt8 = Refusal.noAttempts
    /// Milliseconds after which the same request could pass; where only a new one can, that one; of a block, its end. 0 = doesn't apply.
    public var retryAfterMs: UInt32 = 0

    public init() {}
    /// With the neutral class that goes with the status.
    public init(_ status: Status, limit: Limit = .none, attemptsLeft: UInt8 = Refusal.noAttempts, retryAfterMs: UInt64 = 0) {
        statusCode = status.rawValue
        limitCode = limit.rawValue
        // With a wait, "start again" would only lead to the next refusal: the shopper is told to wait.
        neutral = (status == .startAnew && retryAfterMs > 0 ? NeutralClass.wait : status.neutralClass).rawValue
        self.attemptsLeft = attemptsLeft
        self.retryAfterMs = UInt32(clamping: retryAfterMs)
    }

    /// The status; `nil` for a number that this version doesn't know.
    public var status: Status? { Status(rawValue: statusCode) }
    /// The limit; `nil` for a number that this version doesn't know.
    public var limit: Limit? { Limit(rawValue: limitCode) }

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u16("status", &statusCode)
        try c.u8("limit", &limitCode)
        try c.u8("neutral_class", &neutral)
        try c.u8("attempts_left", &attemptsLeft)
        try c.u32("retry_after_ms", &retryAfterMs)
    }
}
