import Engine
import Wire

/// The store's port over a dictionary, with a journal of what was written.
struct MemoryState: State {
    struct Place: Hashable, Comparable {
        var table: UInt8
        var key: [UInt8]

        static func < (a: Place, b: Place) -> Bool {
            a.table != b.table ? a.table < b.table : a.key.lexicographicallyPrecedes(b.key)
        }
    }

    struct Row: Equatable {
        var value: [UInt8]
        var expiresAt: UInt64
        var epoch: UInt32
    }

    struct Change: Equatable {
        var table: Table
        var key: [UInt8]
        /// `nil` = deleted.
        var value: [UInt8]?
    }

    var rows: [Place: Row] = [:]
    /// Since it was last emptied, in order.
    var changes: [Change] = []
    var now: UInt64 = 0
    /// Since the beginning.
    private(set) var reads = 0
    var epoch: UInt32 = 1

    mutating func read(_ table: Table, _ key: RecordKey, into record: borrowing RecordBuffer) -> Bool {
        reads += 1
        guard let row = rows[place(table, key)], row.expiresAt == 0 || row.expiresAt > now else { return false }
        _ = record.fill { buffer in
            row.value.withUnsafeBytes { buffer.copyMemory(from: $0) }
            return row.value.count
        }
        record.epoch = row.epoch
        record.expiresAt = row.expiresAt
        return true
    }

    mutating func put(_ table: Table, _ key: RecordKey, _ record: borrowing RecordBuffer, expiresAt: UInt64) {
        let value = record.withBytes { Array($0) }
        rows[place(table, key)] = Row(value: value, expiresAt: expiresAt, epoch: epoch)
        changes.append(Change(table: table, key: bytes(key), value: value))
    }

    mutating func delete(_ table: Table, _ key: RecordKey) {
        rows[place(table, key)] = nil
        changes.append(Change(table: table, key: bytes(key), value: nil))
    }

    /// The rows of every table but the events.
    var withoutEvents: [Place: Row] { rows.filter { $0.key.table != Table.event.rawValue } }

    func rows(of table: Table) -> [(key: [UInt8], value: [UInt8])] {
        rows.filter { $0.key.table == table.rawValue }.sorted { $0.key < $1.key }.map { ($0.key.key, $0.value.value) }
    }

    private func bytes(_ key: RecordKey) -> [UInt8] { key.withBytes { Array($0) } }
    private func place(_ table: Table, _ key: RecordKey) -> Place {
        precondition(key.count == table.keyBytes, "a key of \(table) has \(table.keyBytes) bytes")
        return Place(table: table.rawValue, key: bytes(key))
    }
}
