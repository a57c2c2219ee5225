/// The first frame of a connection: which protocol, as which tenant, in which roles.
public struct Hello: RequestMessage {
    public static let opcode = Opcode.hello
    /// "otpd" in ASCII: tells a stray client of another protocol apart at once.
    public static let magic: UInt32 = 0x6F74_7064
    /// The only version there is.
    public static let version: UInt16 = 1

    /// Must be `magic`.
    public var magic: UInt32 = Hello.magic
    /// The lowest version that the client speaks.
    public var minVersion: UInt16 = Hello.version
    /// The highest.
    public var maxVersion: UInt16 = Hello.version
    /// The tenant's number; 0 = the only one that this peer may use.
    public var tenant: UInt32 = 0
    /// The roles wanted; 0 = all that this peer may have.
    public var roles: UInt16 = 0
    /// Name and version of the client, for the operator.
    public var client = InlineBytes<64>()

    /// Version 1, the only tenant, all roles.
    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u32("magic", &magic)
        try c.u16("min_version", &minVersion)
        try c.u16("max_version", &maxVersion)
        try c.u32("tenant", &tenant)
        try c.u16("roles", &roles)
        try c.tagged(.ignorable(1), "client", &client)
    }

    /// What the server grants and asks.
    public struct Reply: Message {
        /// The version spoken from here on.
        public var version: UInt16 = 0
        /// The tenant of this connection.
        public var tenant: UInt32 = 0
        /// The roles of this connection.
        public var roles: UInt16 = 0
        /// Engine time, milliseconds: the base of request ids.
        public var engineTimeMs: UInt64 = 0
        /// The store's epoch: part of event cursors.
        public var epoch: UInt32 = 0
        /// Bytes of a whole frame at most.
        public var maxFrameBytes: UInt32 = 0
        /// Requests in flight on a connection at most; further ones wait in the server's input buffer.
        public var maxInFlight: UInt16 = 0
        /// How far a request id's time may be from engine time, seconds.
        public var requestAgeSeconds: UInt16 = 0
        /// Who signs off grants: `dev` for a development server.
        public var issuer = InlineBytes<64>()
        /// Name and version of the server.
        public var server = InlineBytes<64>()

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u16("version", &version)
            try c.u32("tenant", &tenant)
            try c.u16("roles", &roles)
            try c.u64("engine_time_ms", &engineTimeMs)
            try c.u32("epoch", &epoch)
            try c.u32("max_frame_bytes", &maxFrameBytes)
            try c.u16("max_in_flight", &maxInFlight)
            try c.u16("request_age_seconds", &requestAgeSeconds)
            try c.tagged(.ignorable(1), "issuer", &issuer)
            try c.tagged(.ignorable(2), "server", &server)
        }
    }
}
