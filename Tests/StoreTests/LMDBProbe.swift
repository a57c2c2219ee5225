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
