/// Closes an open challenge: its code is dead, its unsent messages die. Write.
public struct Cancel: RequestMessage {
    public static let opcode = Opcode.cancel
    /// 6 bytes of engine time, 10 random bytes.
    public var requestID = Bytes16.zero
    /// From the reply to RequestCode.
    public var challenge = Bytes16.zero
    /// As in RequestCode.
    public var session = Bytes32.zero

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("request_id", &requestID)
        try c.bytes16("challenge", &challenge)
        try c.bytes32("session", &session)
    }

    public typealias Reply = Empty
}
