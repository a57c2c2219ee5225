import Engine
import Wire

/// The store's port over a short list. It counts writes and keeps no events.
struct FuzzState: State {
    private struct Row {
        var value: [UInt8]
        var epoch: UInt32
        var expiresAt: UInt64
    }

    private var places: [(table: Table, key: RecordKey)] = []
    private var rows: [Row] = []
    private(set) var writes = 0
    var now: UInt64 = 0
    var epoch: UInt32 = 1

    private func index(_ table: Table, _ key: RecordKey) -> Int? {
        for index in places.indices where places[index].table == table && places[index].key == key { return index }
        return nil
    }

    mutating func read(_ table: Table, _ key: RecordKey, into record: borrowing RecordBuffer) -> Bool {
        guard let index = index(table, key), rows[index].expiresAt == 0 || rows[index].expiresAt > now else { return false }
        _ = record.fill { buffer in
            buffer.copyBytes(from: rows[index].value)
            return rows[index].value.count
        }
        record.epoch = rows[index].epoch
        record.expiresAt = rows[index].expiresAt
        return true
    }

    mutating func put(_ table: Table, _ key: RecordKey, _ record: borrowing RecordBuffer, expiresAt: UInt64) {
        precondition(key.count == table.keyBytes, "a key of \(table) has \(table.keyBytes) bytes")
        writes += 1
        guard table != .event else { return }
        let row = Row(value: record.withBytes { Array($0) }, epoch: epoch, expiresAt: expiresAt)
        if let index = index(table, key) {
            rows[index] = row
        } else {
            places.append((table, key))
            rows.append(row)
        }
    }

    mutating func delete(_ table: Table, _ key: RecordKey) {
        writes += 1
        guard let index = index(table, key) else { return }
        places.swapAt(index, places.count - 1)
        rows.swapAt(index, rows.count - 1)
        places.removeLast()
        rows.removeLast()
    }
}
