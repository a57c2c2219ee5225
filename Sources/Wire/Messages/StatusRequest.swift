/// Asks how a challenge stands. Lookup.
public struct StatusRequest: RequestMessage {
    public static let opcode = Opcode.status
    /// From the reply to RequestCode.
    public var challenge = Bytes16.zero
    /// As in RequestCode.
    public var session = Bytes32.zero
    /// Tells of one of its messages, too: the first is 1; 0 = the newest.
    public var send: UInt8?

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("challenge", &challenge)
        try c.bytes32("session", &session)
        try c.tagged(.ignorable(1), "send", &send)
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
        /// Which message the rest is about; `nil` = none was asked for, or it is no more.
        public var send: UInt8?
        /// How far that message has come: a `Delivery`.
        public var sendDelivery: UInt8?
        /// Leases so far that weren't given back untried.
        public var submits: UInt8?
        /// Engine times, milliseconds; `nil` = not yet.
        public var queuedAtMs: UInt64?
        /// The newest lease.
        public var leasedAtMs: UInt64?
        /// A gateway took it.
        public var submittedAtMs: UInt64?
        /// Delivered or failed.
        public var settledAtMs: UInt64?
        /// Of the newest report that named one.
        public var gateway = InlineBytes<32>()
        /// The gateway's id of the message.
        public var reference = InlineBytes<64>()
        /// Of the bill.
        public var segments: UInt8?
        /// In millionths of the currency.
        public var priceMicros: UInt64?
        /// ISO 4217.
        public var currency = InlineBytes<3>()
        /// Of the newest failure, without runs of digits.
        public var reason = InlineBytes<64>()

        public init() {}

        @specialized(where C == FieldEncoder)
        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u8("state", &state)
            try c.u8("delivery", &delivery)
            try c.u8("attempts_left", &attemptsLeft)
            try c.u8("sends_left", &sendsLeft)
            try c.u64("expires_at_ms", &expiresAtMs)
            try c.u64("resend_at_ms", &resendAtMs)
            try c.tagged(.ignorable(1), "send", &send)
            try c.tagged(.ignorable(2), "send_delivery", &sendDelivery)
            try c.tagged(.ignorable(3), "submits", &submits)
            try c.tagged(.ignorable(4), "queued_at_ms", &queuedAtMs)
            try c.tagged(.ignorable(5), "leased_at_ms", &leasedAtMs)
            try c.tagged(.ignorable(6), "submitted_at_ms", &submittedAtMs)
            try c.tagged(.ignorable(7), "settled_at_ms", &settledAtMs)
            try c.tagged(.ignorable(8), "gateway", &gateway)
            try c.tagged(.ignorable(9), "reference", &reference)
            try c.tagged(.ignorable(10), "segments", &segments)
            try c.tagged(.ignorable(11), "price_micros", &priceMicros)
            try c.tagged(.ignorable(12), "currency", &currency)
            try c.tagged(.ignorable(13), "reason", &reason)
        }
    }
}
