/// A mark: when it was set, engine milliseconds.
struct MarkRecord {
    static let schema: UInt8 = 1

    var timeMs: UInt64

    init(timeMs: UInt64) { self.timeMs = timeMs }

    /// Ends the process when the bytes aren't a record of this schema: what it voids would be open again.
    init(from record: borrowing RecordBuffer) {
        record.schema(MarkRecord.schema)
        timeMs = record.ms()
        precondition(record.isWhole, "a mark can't be decoded: the data folder is of another version or damaged")
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(MarkRecord.schema)
        record.put(ms: timeMs)
    }
}
