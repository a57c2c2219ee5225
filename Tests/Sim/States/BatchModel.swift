import Store

/// What a run asked of the store, told without it: batch n holds the writes of sequence n, and the state after it is theirs in order.
struct BatchModel {
    struct Key: Hashable {
        var table: UInt8
        var bytes: [UInt8]
    }
    struct Record: Equatable {
        var value: [UInt8]
        var expiresAt: UInt64
    }
    struct Write {
        var key: Key
        /// `nil` deletes.
        var value: [UInt8]?
        var expiresAt: UInt64
    }
    struct Batch {
        var writes: [Write]
        var clock: StoreClock
    }

    private(set) var batches: [Batch] = []
    /// After each batch; the first is the empty folder.
    private var states: [[Key: Record]] = [[:]]

    var count: Int { batches.count }

    mutating func append(_ batch: Batch) {
        var state = states[batches.count]
        for write in batch.writes {
            state[write.key] = write.value.map { Record(value: $0, expiresAt: write.expiresAt) }
        }
        batches.append(batch)
        states.append(state)
    }

    /// As if nothing after batch `count` had been.
    func prefix(_ count: Int) -> BatchModel {
        var copy = self
        copy.batches.removeSubrange(count...)
        copy.states.removeSubrange((count + 1)...)
        return copy
    }

    /// Engine time after batch `count`.
    func now(after count: Int) -> UInt64 { count == 0 ? 0 : batches[count - 1].clock.engineMs }

    /// The live value of a key after batch `count`.
    func value(_ key: Key, after count: Int) -> [UInt8]? {
        guard let record = states[count][key], record.expiresAt == 0 || record.expiresAt > now(after: count)
        else { return nil }
        return record.value
    }

    /// The live records of a table after batch `count`, in key order.
    func records(_ table: UInt8, after count: Int) -> [(key: [UInt8], value: [UInt8])] {
        states[count].keys.filter { $0.table == table }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            .compactMap { key in value(key, after: count).map { (key.bytes, $0) } }
    }
}
