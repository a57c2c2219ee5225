import Wire

/// The open challenges of one (tenant, account, purpose, binding, session): at most one of each class of
/// askers, so that none closes another's.
struct SlotRecord {
    /// Schema 1 was the 16 bytes of one challenge's id, whoever had asked for it.
    static let schema: UInt8 = 2
    static let firstSchemaBytes = 16

    /// By `Assurance`; zero = none.
    var ids = InlineArray<3, Bytes16>(repeating: .zero)
    /// When the last of them ends, engine milliseconds. Not part of its bytes.
    var expiresAt: UInt64 = 0

    init() {}

    var isEmpty: Bool {
        for index in 0..<3 where ids[index] != .zero { return false }
        return true
    }

    /// `nil` when the bytes aren't of schema 2.
    init?(from record: borrowing RecordBuffer) {
        record.schema(SlotRecord.schema)
        expiresAt = record.expiresAt
        let there = record.u8()
        for index in 0..<3 where there & (1 << UInt8(index)) != 0 {
            ids[index] = record.bytes16()
            if ids[index] == .zero { return nil }
        }
        if there > 7 || !record.isWhole { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(SlotRecord.schema)
        var there: UInt8 = 0
        for index in 0..<3 where ids[index] != .zero { there |= 1 << UInt8(index) }
        record.put(there)
        for index in 0..<3 where ids[index] != .zero { record.put(ids[index]) }
    }
}
