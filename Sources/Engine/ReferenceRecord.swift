import Wire

/// From a gateway's id of a message to the message, for receipts whose hearer knows nothing else.
struct ReferenceRecord {
    static let schema: UInt8 = 1

    var challenge = Bytes16.zero
    var send: UInt8 = 0
    /// The lease under which the gateway took it: a failure of an older one says nothing about a newer.
    var token = Bytes16.zero

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: borrowing RecordBuffer) {
        record.schema(ReferenceRecord.schema)
        challenge = record.bytes16()
        send = record.u8()
        token = record.bytes16()
        if !record.isWhole { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(ReferenceRecord.schema)
        record.put(challenge)
        record.put(send)
        record.put(token)
    }
}
