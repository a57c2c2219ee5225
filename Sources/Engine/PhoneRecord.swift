/// What is remembered of a phone. Each assurance class has budgets of its own.
struct PhoneRecord {
    static let schema: UInt8 = 1

    /// One class of askers.
    struct Class {
        var sends = SendWindow()
        var accounts = RecentSet()
        var open = OpenSet()
        init() {}
    }

    var classes = InlineArray<3, Class>(repeating: Class())
    /// Verify requests in the last minute, newest last.
    var verifies = SendWindow()

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: inout RecordBuffer) {
        record.schema(PhoneRecord.schema)
        for index in 0..<3 {
            classes[index].sends = SendWindow(from: &record)
            classes[index].accounts = RecentSet(from: &record)
            classes[index].open = OpenSet(from: &record)
        }
        verifies = SendWindow(from: &record)
        if !record.isWhole { return nil }
    }

    func encode(into record: inout RecordBuffer) {
        record.clear()
        record.put(PhoneRecord.schema)
        for index in 0..<3 {
            classes[index].sends.encode(into: &record)
            classes[index].accounts.encode(into: &record)
            classes[index].open.encode(into: &record)
        }
        verifies.encode(into: &record)
    }
}
