/// Asks whether a grant is good, without spending it. Lookup.
public struct CheckGrant: RequestMessage {
    public static let opcode = Opcode.checkGrant
    /// From the reply to Verify.
    public var grant = Bytes32.zero
    /// What it must be for.
    public var purpose: UInt16 = 0
    /// Whose it must be.
    public var account = AccountBytes()
    /// The session that it must be bound to.
    public var session = Bytes32.zero

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes32("grant", &grant)
        try c.u16("purpose", &purpose)
        try c.blob8("account", &account)
        try c.bytes32("session", &session)
    }

    public typealias Reply = GrantReply
}

/// Spends a grant: the one time that it opens anything. Write.
public struct RedeemGrant: RequestMessage {
    public static let opcode = Opcode.redeemGrant
    /// 6 bytes of engine time, 10 random bytes.
    public var requestID = Bytes16.zero
    /// From the reply to Verify.
    public var grant = Bytes32.zero
    /// What it must be for.
    public var purpose: UInt16 = 0
    /// Whose it must be.
    public var account = AccountBytes()
    /// The session that it must be bound to.
    public var session = Bytes32.zero

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("request_id", &requestID)
        try c.bytes32("grant", &grant)
        try c.u16("purpose", &purpose)
        try c.blob8("account", &account)
        try c.bytes32("session", &session)
    }

    public typealias Reply = GrantReply
}

/// What a good grant says.
public struct GrantReply: Message, Equatable {
    /// When the code was verified, engine time, milliseconds.
    public var verifiedAtMs: UInt64 = 0
    /// Engine time, milliseconds.
    public var expiresAtMs: UInt64 = 0
    /// The challenge that it came from.
    public var challenge = Bytes16.zero
    /// Who issued it; `dev` = a development server.
    public var issuer = InlineBytes<64>()
    /// 1 = told again: an earlier request of the same bytes spent it. `nil` = this one did, or it was only looked at.
    public var repeated: UInt8?

    public init() {}

    @specialized(where C == FieldEncoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u64("verified_at_ms", &verifiedAtMs)
        try c.u64("expires_at_ms", &expiresAtMs)
        try c.bytes16("challenge", &challenge)
        try c.tagged(.ignorable(1), "issuer", &issuer)
        try c.tagged(.ignorable(2), "repeated", &repeated)
    }
}
