/// What is remembered of a phone. Each assurance class has budgets of its own.
///
/// More than two kilobytes: it and its parts can't be copied, so that no line of the rules does it unseen.
struct PhoneRecord: ~Copyable {
    /// Schema 1 had one window of Verify requests for all classes.
    static let schema: UInt8 = 2

    /// One class of askers.
    struct Class: ~Copyable {
        var sends: SendWindow
        var accounts: RecentSet
        var open: OpenSet
        /// Codes that were compared.
        var verifies: MinuteWindow

        @inline(__always) init() {
            sends = SendWindow()
            accounts = RecentSet()
            open = OpenSet()
            verifies = MinuteWindow()
        }

        @inline(__always) init(from record: borrowing RecordBuffer, schema: UInt8) {
            sends = SendWindow(from: record)
            accounts = RecentSet(from: record)
            open = OpenSet(from: record)
            verifies = schema == 1 ? MinuteWindow() : MinuteWindow(from: record)
        }
    }

    var classes: InlineArray<3, Class>

    @inline(__always) init() { classes = InlineArray { _ in Class() } }

    /// The record is damaged, or not whole, when its bytes aren't of this schema.
    @inline(__always) init(from record: borrowing RecordBuffer) {
        let schema = record.schema(upTo: PhoneRecord.schema)
        classes = InlineArray { _ in Class(from: record, schema: schema) }
        if schema == 1 {
            // Whose they were isn't known: for the minute that is left they count for every class, as they did.
            let shared = SendWindow(from: record)
            for index in 0..<3 { classes[index].verifies = MinuteWindow(copying: shared) }
        }
    }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(PhoneRecord.schema)
        for index in 0..<3 {
            classes[index].sends.encode(into: record)
            classes[index].accounts.encode(into: record)
            classes[index].open.encode(into: record)
            classes[index].verifies.encode(into: record)
        }
    }
}
