/// Offers what the shopper typed. Write: a wrong guess is durable before its answer.
public struct Verify: RequestMessage {
    public static let opcode = Opcode.verify
    /// 6 bytes of engine time, 10 random bytes.
    public var requestID = Bytes16.zero
    /// From the reply to RequestCode.
    public var challenge = Bytes16.zero
    /// As in RequestCode.
    public var session = Bytes32.zero
    /// ASCII, as typed; the web tier may strip spaces.
    public var code = CodeBytes()
    /// The shopper's address: 4 or 16 bytes.
    public var clientIP = InlineBytes<16>()

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("request_id", &requestID)
        try c.bytes16("challenge", &challenge)
        try c.bytes32("session", &session)
        try c.judged8("code", &code)
        try c.tagged(.ignorable(2), "client_ip", &clientIP)
    }

    /// The code was right: the grant, once.
    public struct Reply: Message, Equatable {
        /// A bearer secret; redeem it once.
        public var grant = Bytes32.zero
        /// The challenge's purpose.
        public var purpose: UInt16 = 0
        /// Engine time, milliseconds.
        public var expiresAtMs: UInt64 = 0
        /// The same instant by the wall clock, Unix milliseconds; for the outside world only.
        public var expiresAtWallMs: UInt64 = 0
        /// Who issued it; `dev` = a development server.
        public var issuer = InlineBytes<64>()
        /// 1 = told again: an earlier request of the same bytes was accepted. `nil` = this one was.
        public var repeated: UInt8?

        public init() {}

        @specialized(where C == FieldEncoder)
        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.bytes32("grant", &grant)
            try c.u16("purpose", &purpose)
            try c.u64("expires_at_ms", &expiresAtMs)
            try c.u64("expires_at_wall_ms", &expiresAtWallMs)
            try c.tagged(.ignorable(1), "issuer", &issuer)
            try c.tagged(.ignorable(2), "repeated", &repeated)
        }
    }
}
