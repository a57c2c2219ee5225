/// Ends an account's blocks and forgets its failures: all of its payments', and those on one phone. At most three an account and day. Write.
public struct Unblock: RequestMessage {
    public static let opcode = Opcode.unblock
    /// 6 bytes of engine time, 10 random bytes.
    public var requestID = Bytes16.zero
    /// As in RequestCode.
    public var account = AccountBytes()
    /// As in RequestCode: failures on this phone are forgotten too; empty = the account's payments only.
    public var phone = PhoneBytes()
    /// Who acts, as `PlainText`; in the event.
    public var actor = InlineBytes<64>()
    /// Why, likewise.
    public var reason = InlineBytes<128>()

    public init() {}

    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.bytes16("request_id", &requestID)
        try c.judged8("account", &account)
        try c.judged8("phone", &phone)
        try c.blob8("actor", &actor)
        try c.blob8("reason", &reason)
    }

    public typealias Reply = Empty
}
