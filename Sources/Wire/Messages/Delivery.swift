/// Says how many more messages this courier will take; they come as `MessagePush` frames. Write.
public struct LeaseMessages: RequestMessage {
    public static let opcode = Opcode.leaseMessages
    /// Replaces the credit that was left; 0 = no more.
    public var credit: UInt16 = 0
    /// How long a lease holds, milliseconds; 0 = the server's default. The server may shorten it.
    public var leaseMs: UInt32 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u16("credit", &credit)
        try c.u32("lease_ms", &leaseMs)
    }

    /// As accepted.
    public struct Reply: Message, Equatable {
        /// The credit now.
        public var credit: UInt16 = 0
        /// How long a lease holds, milliseconds.
        public var leaseMs: UInt32 = 0

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u16("credit", &credit)
            try c.u32("lease_ms", &leaseMs)
        }
    }
}

/// One message, leased to this courier until the deadline. Push.
public struct MessagePush: PushMessage {
    public static let opcode = Opcode.message
    /// The challenge that the message belongs to.
    public var challenge = Bytes16.zero
    /// Which send of that challenge, from 1.
    public var send: UInt8 = 0
    /// Names the lease in ReportMessage.
    public var token = Bytes16.zero
    /// From 1; it grows with each lease but one that was given back untried, and the third is the last.
    public var attempt: UInt8 = 0
    /// Engine time, milliseconds: report before it.
    public var leaseUntilMs: UInt64 = 0
    /// Engine time, milliseconds: submit nothing after it.
    public var expiresAtMs: UInt64 = 0
    /// The engine's time at the push: with it a courier turns the two above into durations.
    public var engineTimeMs: UInt64 = 0
    /// The same for every lease of this message: for gateways that drop duplicates.
    public var idempotencyKey = Bytes16.zero
    /// The tenant's number.
    public var tenant: UInt32 = 0
    /// The purpose's number.
    public var purpose: UInt16 = 0
    /// E.164.
    public var phone = PhoneBytes()
    /// UTF-8; holds the code.
    public var text = InlineBytes<640>()
    /// The gateway that the last report named: another one is better now. Empty = none.
    public var lastGateway = InlineBytes<32>()

    public init() {}

    @specialized(where C == FieldEncoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("challenge", &challenge)
        try c.u8("send", &send)
        try c.bytes16("token", &token)
        try c.u8("attempt", &attempt)
        try c.u64("lease_until_ms", &leaseUntilMs)
        try c.u64("expires_at_ms", &expiresAtMs)
        try c.u64("engine_time_ms", &engineTimeMs)
        try c.bytes16("idempotency_key", &idempotencyKey)
        try c.u32("tenant", &tenant)
        try c.u16("purpose", &purpose)
        try c.blob8("phone", &phone)
        try c.blob16("text", &text)
        try c.tagged(.ignorable(1), "last_gateway", &lastGateway)
    }
}

/// What became of a leased message. Idempotent: the token names the lease. Write.
public struct ReportMessage: RequestMessage {
    public static let opcode = Opcode.reportMessage

    /// What the gateway said.
    public enum Outcome: UInt8, Sendable, CaseIterable {
        /// The gateway has it.
        case submitted = 1
        /// Not now: may be leased again.
        case transientFailure = 2
        /// Never: the number or the route is wrong.
        case permanentFailure = 3
        /// The handset has it.
        case delivered = 4
        /// The network gave up.
        case undelivered = 5
        /// No gateway was asked: the lease's attempt is given back, and the message may be leased again.
        case notSubmitted = 6
        /// It may be on its way: it may be submitted once more.
        case ambiguous = 7
    }

    /// From the push.
    public var challenge = Bytes16.zero
    /// From the push.
    public var send: UInt8 = 0
    /// From the push.
    public var token = Bytes16.zero
    /// An `Outcome`.
    public var outcome: UInt8 = 0
    /// The gateway's own id of the message.
    public var reference = InlineBytes<64>()
    /// The gateway's reason for a failure.
    public var reason = InlineBytes<64>()
    /// The gateway's name at this courier; with `reference` it makes the message known to ReportReceipt.
    public var gateway = InlineBytes<32>()
    /// How many SMS it took.
    public var segments: UInt8?
    /// What the whole message cost, in millionths of the currency.
    public var priceMicros: UInt64?
    /// ISO 4217.
    public var currency = InlineBytes<3>()
    /// Not 0: another gateway would take the message, should the network give up.
    public var hasOther: UInt8?

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("challenge", &challenge)
        try c.u8("send", &send)
        try c.bytes16("token", &token)
        try c.u8("outcome", &outcome)
        try c.tagged(.ignorable(1), "reference", &reference)
        try c.tagged(.ignorable(2), "reason", &reason)
        try c.tagged(.ignorable(3), "gateway", &gateway)
        try c.tagged(.ignorable(4), "segments", &segments)
        try c.tagged(.ignorable(5), "price_micros", &priceMicros)
        try c.tagged(.ignorable(6), "currency", &currency)
        try c.tagged(.ignorable(7), "has_other", &hasOther)
    }

    public typealias Reply = Empty
}

/// What a gateway said later of a message that it took, by whoever heard it: a courier that was started anew, or a receiver of
/// call-backs. Idempotent: states move forward only. Write.
public struct ReportReceipt: RequestMessage {
    public static let opcode = Opcode.reportReceipt
    /// As in the ReportMessage that said `submitted`.
    public var gateway = InlineBytes<32>()
    /// As in that ReportMessage.
    public var reference = InlineBytes<64>()
    /// `ReportMessage.Outcome`: `delivered` or `undelivered`.
    public var outcome: UInt8 = 0
    /// The gateway's reason for a failure.
    public var reason = InlineBytes<64>()

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.blob8("gateway", &gateway)
        try c.blob8("reference", &reference)
        try c.u8("outcome", &outcome)
        try c.tagged(.ignorable(1), "reason", &reason)
    }

    public typealias Reply = Empty
}
