/// Asks how a challenge stands. Lookup.
public struct StatusRequest: RequestMessage {
    public static let opcode = Opcode.status
    /// From the reply to RequestCode.
    public var challenge = Bytes16.zero
    /// As in RequestCode.
    public var session = Bytes32.zero

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("challenge", &challenge)
        try c.bytes32("session", &session)
    }

    /// How far a message has come; moves forward only.
    public enum Delivery: UInt8, Sendable, CaseIterable {
        case queued = 1
        case submitted = 2
        case delivered = 3
        case failed = 4
    }

    /// What a challenge is now.
    public enum State: UInt8, Sendable, CaseIterable {
        case open = 1
        case verified = 2
        case cancelled = 3
        case superseded = 4
        case exhausted = 5
        case expired = 6
    }

    /// The challenge as it is now.
    public struct Reply: Message, Equatable {
        /// A `State`.
        public var state: UInt8 = 0
        /// A `Delivery`, of the newest message.
        public var delivery: UInt8 = 0
        /// Wrong codes that may still be tried.
        public var attemptsLeft: UInt8 = 0
        /// Messages that may still be sent.
        public var sendsLeft: UInt8 = 0
        /// Engine time, milliseconds.
        public var expiresAtMs: UInt64 = 0
        /// Engine time, milliseconds.
        public var resendAtMs: UInt64 = 0

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u8("state", &state)
            try c.u8("delivery", &delivery)
            try c.u8("attempts_left", &attemptsLeft)
            try c.u8("sends_left", &sendsLeft)
            try c.u64("expires_at_ms", &expiresAtMs)
            try c.u64("resend_at_ms", &resendAtMs)
        }
    }
}
