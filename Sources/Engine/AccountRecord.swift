import Wire

/// What is remembered of an account. Each assurance class has budgets of its own. As large as a phone's, and as little copied.
struct AccountRecord: ~Copyable {
    /// Schema 1 knew neither payments nor Unblocks.
    static let schema: UInt8 = 2

    /// One class of askers.
    struct Class: ~Copyable {
        var sends: SendWindow
        var phones: RecentSet

        @inline(__always) init() {
            sends = SendWindow()
            phones = RecentSet()
        }

        @inline(__always) init(from record: borrowing RecordBuffer) {
            sends = SendWindow(from: record)
            phones = RecentSet(from: record)
        }
    }

    /// Stands for the account in events: 6 bytes of engine time, 10 random ones.
    var subject = Bytes16.zero
    var classes: InlineArray<3, Class>
    var payments = PaymentStreak()
    var unblocks = UnblockList()
    /// When it and its subject's record end, engine milliseconds; 0 = not written yet. Not part of its bytes.
    var keptUntil: UInt64 = 0
    /// Nothing is remembered.
    var isNew: Bool { keptUntil == 0 }

    @inline(__always) init() { classes = InlineArray { _ in Class() } }

    /// The record is damaged, or not whole, when its bytes aren't of this schema.
    @inline(__always) init(from record: borrowing RecordBuffer) {
        let schema = record.schema(upTo: AccountRecord.schema)
        keptUntil = record.expiresAt
        subject = record.bytes16()
        classes = InlineArray { _ in Class(from: record) }
        guard schema > 1 else { return }
        payments = PaymentStreak(from: record)
        unblocks = UnblockList(from: record)
    }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(AccountRecord.schema)
        record.put(subject)
        for index in 0..<3 {
            classes[index].sends.encode(into: record)
            classes[index].phones.encode(into: record)
        }
        payments.encode(into: record)
        unblocks.encode(into: record)
    }
}
