import CLMDB
import Glibc

@testable import Store

extension LMDBEnvironment {
    /// Rows of a table.
    func rows(_ table: Int) throws(StoreError) -> Int {
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        var statistics = MDB_stat()
        try LMDBEnvironment.check(mdb_stat(transaction, tables[table], &statistics), "mdb_stat")
        return statistics.ms_entries
    }

    /// The sealed values of a table, in key order.
    func values(_ table: Int) throws -> [[UInt8]] {
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(mdb_cursor_open(transaction, tables[table], &cursor), "mdb_cursor_open")
        defer { mdb_cursor_close(cursor) }
        var found: [[UInt8]] = []
        var (key, value) = (MDB_val(), MDB_val())
        while mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 {
            found.append(Array(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)))
        }
        return found
    }

    /// What a hand with the lock might do: one value replaced, in a transaction that carries its id as ours do.
    func overwrite(_ table: Int, _ key: [UInt8], _ value: [UInt8]) throws { try overwrite(table, [(key, value)]) }

    func overwrite(_ table: Int, _ rows: [(key: [UInt8], value: [UInt8])]) throws {
        let transaction = try begin(readOnly: false)
        for row in rows {
            let code = row.key.withUnsafeBytes { k in
                row.value.withUnsafeBytes { LMDBEnvironment.put(transaction, tables[table], k, $0) }
            }
            try LMDBEnvironment.check(code, "mdb_put")
        }
        try LMDBEnvironment.check(putSeal(transaction), "mdb_put txn")
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    func storedPosition() throws -> Position {
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        return try Store.position(self, in: transaction)
    }

    /// Another position, in a transaction that carries its id as ours do.
    func overwrite(_ position: Position) throws {
        let transaction = try begin(readOnly: false)
        var bytes = [UInt8](repeating: 0, count: Position.bytes)
        let code = bytes.withUnsafeMutableBytes { raw in
            position.encode(into: raw)
            return "position".withMeta { LMDBEnvironment.put(transaction, meta, $0, UnsafeRawBufferPointer(raw)) }
        }
        try LMDBEnvironment.check(code, "mdb_put")
        try LMDBEnvironment.check(putSeal(transaction), "mdb_put txn")
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// `meta` with a format and a row `txn` of the caller's making, in one more transaction; `nil` = that of format 1.
    func overwriteMeta(format: UInt32, txn: [UInt8]?) throws {
        let transaction = try begin(readOnly: false)
        let row = txn ?? withUnsafeBytes(of: UInt64(mdb_txn_id(transaction)).bigEndian) { Array($0) }
        let code = row.withUnsafeBytes { bytes in "txn".withMeta { LMDBEnvironment.put(transaction, meta, $0, bytes) } }
        try LMDBEnvironment.check(code, "mdb_put txn")
        try LMDBEnvironment.check(LMDBEnvironment.putNumber(transaction, meta, "format", format), "mdb_put format")
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// The newest transaction's `format`, and whether it has a seal.
    func storedFormat() throws -> (format: UInt64?, isSealed: Bool) {
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        return (try number("format", bytes: 4, transaction), try seal(in: transaction) != nil)
    }

    /// What a stranger's tool might do: one transaction that isn't ours.
    static func foreignWrite(path: String) throws(StoreError) {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle), "mdb_env_create")
        try check(mdb_env_set_maxdbs(handle, 40), "mdb_env_set_maxdbs")
        try check(mdb_env_open(handle, path, UInt32(MDB_NOTLS), 0o600), "mdb_env_open")
        defer { mdb_env_close(handle) }
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(handle, nil, 0, &transaction), "mdb_txn_begin")
        var dbi: MDB_dbi = 0
        try check(mdb_dbi_open(transaction, "stranger", UInt32(MDB_CREATE), &dbi), "mdb_dbi_open")
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }
}
