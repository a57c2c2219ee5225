/// What is remembered of a phone. Each assurance class has budgets of its own.
///
/// More than two kilobytes: it and its parts can't be copied, so that no line of the rules does it unseen.
struct PhoneRecord: ~Copyable {
    static let schema: UInt8 = 1

    /// One class of askers.
    struct Class: ~Copyable {
        var sends: SendWindow
        var accounts: RecentSet
        var open: OpenSet

        @inline(__always) init() {
            sends = SendWindow()
            accounts = RecentSet()
            open = OpenSet()
        }

        @inline(__always) init(from record: borrowing RecordBuffer) {
            sends = SendWindow(from: record)
            accounts = RecentSet(from: record)
            open = OpenSet(from: record)
        }
    }

    var classes: InlineArray<3, Class>
    /// Verify requests in the last minute, newest last.
    var verifies: SendWindow

    @inline(__always) init() {
        classes = InlineArray { _ in Class() }
        verifies = SendWindow()
    }

    /// The record is damaged, or not whole, when its bytes aren't of this schema.
    @inline(__always) init(from record: borrowing RecordBuffer) {
        record.schema(PhoneRecord.schema)
        classes = InlineArray { _ in Class(from: record) }
        verifies = SendWindow(from: record)
    }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(PhoneRecord.schema)
        for index in 0..<3 {
            classes[index].sends.encode(into: record)
            classes[index].accounts.encode(into: record)
            classes[index].open.encode(into: record)
        }
        verifies.encode(into: record)
    }
}
