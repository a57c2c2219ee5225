/// "Are you there?": answered at once, reads nothing.
public struct Ping: RequestMessage {
    public static let opcode = Opcode.ping
    /// Anything; comes back.
    public var token: UInt64 = 0

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u64("token", &token)
    }

    /// The echo, with the engine's time: a client may correct its base for request ids.
    public struct Reply: Message {
        /// As it was sent.
        public var token: UInt64 = 0
        /// Milliseconds.
        public var engineTimeMs: UInt64 = 0

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u64("token", &token)
            try c.u64("engine_time_ms", &engineTimeMs)
        }
    }
}
