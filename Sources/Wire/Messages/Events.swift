/// A place in the order of events: the store's epoch, the commit's sequence, the index inside that commit.
public struct Cursor: Sendable, Hashable, Comparable {
    /// The store's epoch.
    public var epoch: UInt32
    /// The commit.
    public var sequence: UInt64
    /// The event in it.
    public var index: UInt16

    /// Before every event.
    public static let zero = Cursor(epoch: 0, sequence: 0, index: 0)

    /// The three parts.
    public init(epoch: UInt32, sequence: UInt64, index: UInt16) {
        self.epoch = epoch
        self.sequence = sequence
        self.index = index
    }

    /// Commit order.
    public static func < (a: Cursor, b: Cursor) -> Bool {
        (a.epoch, a.sequence, a.index) < (b.epoch, b.sequence, b.index)
    }

    mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u32("epoch", &epoch)
        try c.u64("sequence", &sequence)
        try c.u16("index", &index)
    }
}

/// Starts this connection's flow of events. Lookup.
public struct Subscribe: RequestMessage {
    public static let opcode = Opcode.subscribe

    /// Where to begin.
    public enum Start: UInt8, Sendable, CaseIterable {
        /// With the next event.
        case now = 0
        /// With the first after `cursor`.
        case afterCursor = 1
        /// With the oldest that is kept.
        case oldest = 2
    }

    /// A `Start`.
    public var start: UInt8 = 0
    /// Used with `afterCursor`, else zero.
    public var cursor = Cursor.zero
    /// Events that may be pushed before more credit comes with Acknowledge.
    public var credit: UInt16 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u8("start", &start)
        try cursor.fields(&c)
        try c.u16("credit", &credit)
    }

    /// Where the stream stands.
    public struct Reply: Message, Equatable {
        /// The newest event that was durable when this was answered.
        public var head = Cursor.zero

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try head.fields(&c)
        }
    }
}

/// One event. Push.
public struct EventPush: PushMessage {
    public static let opcode = Opcode.event

    /// What happened. Numbers are never reused.
    public enum Kind: UInt16, Sendable, CaseIterable {
        case codeRequested = 1
        case codeResent = 2
        case requestRefused = 3
        case codeSubmitted = 4
        case codeDelivered = 5
        case deliveryFailed = 6
        case codeVerified = 7
        case wrongCode = 8
        case attemptsExhausted = 9
        case challengeCancelled = 10
        case challengeSuperseded = 11
        case accountBlocked = 12
        case factorDisabled = 13
        case grantRedeemed = 14
        case clockStepped = 15
        case serverStarted = 16
        case serverDraining = 17
        case requestQuarantined = 18
        case refusalsCounted = 19
        case accountUnblocked = 20
        case tornTailDropped = 21
        case requestsLost = 22

        /// The name in output.
        public var name: String { String(describing: self) }
    }

    /// Where in the order.
    public var cursor = Cursor.zero
    /// A `Kind`.
    public var kind: UInt16 = 0
    /// Engine time, milliseconds.
    public var engineTimeMs: UInt64 = 0
    /// Wall clock, Unix milliseconds.
    public var wallTimeMs: UInt64 = 0
    /// The tenant's number.
    public var tenant: UInt32 = 0
    /// The purpose's number; 0 = none.
    public var purpose: UInt16 = 0
    /// The challenge; zero = none.
    public var challenge = Bytes16.zero
    /// Stands for the account: the time when it was first seen, then random bytes; zero = none.
    public var subject = Bytes16.zero
    /// The status answered, for refusals.
    public var status: UInt16 = 0
    /// The `Limit` that refused.
    public var limit: UInt8 = 0
    /// Attempts left after a wrong code; 0xFF = doesn't apply.
    public var attemptsLeft: UInt8 = 0xFF
    /// How many, where one event stands for several.
    public var count: UInt64?
    /// The user id of who asked; `nil` = the server itself, or a server that didn't note it.
    public var uid: UInt64?
    /// The `Assurance` of who asked; `nil` = none, or not known.
    public var assurance: UInt8?
    /// The request passed, and these limits in shadow mode would have refused it: a `Limit` a byte.
    public var shadowLimits = InlineBytes<16>()
    /// Who acted, as the web tier or the operator's tool named them.
    public var actor = InlineBytes<64>()
    /// Why they acted.
    public var reason = InlineBytes<128>()

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try cursor.fields(&c)
        try c.u16("kind", &kind)
        try c.u64("engine_time_ms", &engineTimeMs)
        try c.u64("wall_time_ms", &wallTimeMs)
        try c.u32("tenant", &tenant)
        try c.u16("purpose", &purpose)
        try c.bytes16("challenge", &challenge)
        try c.bytes16("subject", &subject)
        try c.u16("status", &status)
        try c.u8("limit", &limit)
        try c.u8("attempts_left", &attemptsLeft)
        try c.tagged(.ignorable(1), "count", &count)
        try c.tagged(.ignorable(2), "uid", &uid)
        try c.tagged(.ignorable(3), "assurance", &assurance)
        try c.tagged(.ignorable(4), "shadow_limits", &shadowLimits)
        try c.tagged(.ignorable(5), "actor", &actor)
        try c.tagged(.ignorable(6), "reason", &reason)
    }
}

/// "I have handled all up to here, send more." Lookup.
public struct Acknowledge: RequestMessage {
    public static let opcode = Opcode.acknowledge
    /// The last event handled.
    public var cursor = Cursor.zero
    /// Added to the credit left.
    public var credit: UInt16 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try cursor.fields(&c)
        try c.u16("credit", &credit)
    }

    public typealias Reply = Empty
}
