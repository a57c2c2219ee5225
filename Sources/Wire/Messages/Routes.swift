/// A courier tells how one of its gateways does; the answer tells whether to drain it. Lookup: nothing is kept beyond the connection.
public struct ReportRoute: RequestMessage {
    public static let opcode = Opcode.reportRoute

    /// What its circuit breaker says.
    public enum Breaker: UInt8, Sendable, CaseIterable {
        case closed = 1
        /// One message may find out.
        case halfOpen = 2
        case open = 3
    }

    /// As in ReportMessage.
    public var gateway = InlineBytes<32>()
    /// A `Breaker`.
    public var breaker: UInt8 = 0
    /// Not 0: it gets no new messages.
    public var drained: UInt8 = 0
    /// Messages that it takes now.
    public var room: UInt32 = 0
    /// Messages that it took, and submits that failed or are in doubt, since the courier's start.
    public var taken: UInt64 = 0
    public var failed: UInt64 = 0
    /// For one segment, in millionths of the currency.
    public var priceMicros: UInt64?
    /// ISO 4217.
    public var currency = InlineBytes<3>()

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.blob8("gateway", &gateway)
        try c.u8("breaker", &breaker)
        try c.u8("drained", &drained)
        try c.u32("room", &room)
        try c.u64("taken", &taken)
        try c.u64("failed", &failed)
        try c.tagged(.ignorable(1), "price_micros", &priceMicros)
        try c.tagged(.ignorable(2), "currency", &currency)
    }

    /// The operator's wish.
    public struct Reply: Message, Equatable {
        /// Not 0: give it no new messages.
        public var drained: UInt8 = 0

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) { try c.u8("drained", &drained) }
    }
}

/// Asks for one of the gateways that couriers have reported. Lookup.
public struct ShowRoute: RequestMessage {
    public static let opcode = Opcode.showRoute
    /// From 0.
    public var index: UInt16 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) { try c.u16("index", &index) }

    /// A gateway as its courier told it last.
    public struct Reply: Message, Equatable {
        /// How many there are now; the rest is zero from this index on.
        public var count: UInt16 = 0
        /// Milliseconds since the courier told it.
        public var ageMs: UInt64 = 0
        /// The courier's user id.
        public var uid: UInt32 = 0
        /// As in ReportRoute, and so is the rest.
        public var gateway = InlineBytes<32>()
        public var breaker: UInt8 = 0
        public var drained: UInt8 = 0
        public var room: UInt32 = 0
        public var taken: UInt64 = 0
        public var failed: UInt64 = 0
        public var priceMicros: UInt64?
        public var currency = InlineBytes<3>()

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u16("count", &count)
            try c.u64("age_ms", &ageMs)
            try c.u32("uid", &uid)
            try c.blob8("gateway", &gateway)
            try c.u8("breaker", &breaker)
            try c.u8("drained", &drained)
            try c.u32("room", &room)
            try c.u64("taken", &taken)
            try c.u64("failed", &failed)
            try c.tagged(.ignorable(1), "price_micros", &priceMicros)
            try c.tagged(.ignorable(2), "currency", &currency)
        }
    }
}

/// No new messages through a gateway, or again; couriers hear of it at their next ReportRoute. Lookup: it is in memory alone.
public struct DrainRoute: RequestMessage {
    public static let opcode = Opcode.drainRoute
    /// As couriers name it.
    public var gateway = InlineBytes<32>()
    /// Not 0: none.
    public var drained: UInt8 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.blob8("gateway", &gateway)
        try c.u8("drained", &drained)
    }

    public typealias Reply = Empty
}
