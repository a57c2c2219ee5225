import Wire

/// What is remembered of an account. Each assurance class has budgets of its own.
struct AccountRecord {
    static let schema: UInt8 = 1

    /// One class of askers.
    struct Class {
        var sends = SendWindow()
        var phones = RecentSet()
        init() {}
    }

    /// Stands for the account in events: 6 bytes of engine time, 10 random ones.
    var subject = Bytes16.zero
    var classes = InlineArray<3, Class>(repeating: Class())
    /// When it and its subject's record end, engine milliseconds; 0 = not written yet. Not part of its bytes.
    var keptUntil: UInt64 = 0

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: inout RecordBuffer) {
        record.schema(AccountRecord.schema)
        keptUntil = record.expiresAt
        subject = record.bytes16()
        for index in 0..<3 {
            classes[index].sends = SendWindow(from: &record)
            classes[index].phones = RecentSet(from: &record)
        }
        if !record.isWhole { return nil }
    }

    func encode(into record: inout RecordBuffer) {
        record.clear()
        record.put(AccountRecord.schema)
        record.put(subject)
        for index in 0..<3 {
            classes[index].sends.encode(into: &record)
            classes[index].phones.encode(into: &record)
        }
    }
}
