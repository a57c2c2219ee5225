import CLMDB
import Glibc

/// One LMDB environment under otpd's rules: MDB_NOTLS alone, every database opened once, fixed big-endian keys.
final class LMDBEnvironment {
    let env: OpaquePointer
    private(set) var tables: [MDB_dbi] = []
    private(set) var meta: MDB_dbi = 0

    static func text(of code: Int32) -> String { String(cString: mdb_strerror(code)) }

    static func check(_ code: Int32, _ operation: String) throws(StoreError) {
        guard code == 0 else { throw .lmdb(operation: operation, code: code) }
    }

    /// 0.9.24 is what Debian 12 ships; 0.9.26–0.9.32 have races in the lock file (ITS#9278, ITS#10095).
    static func checkVersion() throws(StoreError) {
        var (major, minor, patch): (Int32, Int32, Int32) = (0, 0, 0)
        _ = mdb_version(&major, &minor, &patch)
        let isGood = major == 0 && minor == 9 && ((24...25).contains(patch) || patch >= 33)
        guard isGood else { throw .unsupportedLMDB(version: "\(major).\(minor).\(patch)") }
    }

    init(path: String, mapBytes: Int, tables specs: [TableSpec]) throws(StoreError) {
        try LMDBEnvironment.checkVersion()
        var handle: OpaquePointer?
        try LMDBEnvironment.check(mdb_env_create(&handle), "mdb_env_create")
        guard let handle else { throw .lmdb(operation: "mdb_env_create", code: ENOMEM) }
        env = handle
        try LMDBEnvironment.check(mdb_env_set_maxdbs(env, 40), "mdb_env_set_maxdbs")
        try LMDBEnvironment.check(mdb_env_set_mapsize(env, mapBytes), "mdb_env_set_mapsize")
        try LMDBEnvironment.check(mdb_env_open(env, path, UInt32(MDB_NOTLS), 0o600), "mdb_env_open \(path)")
        let transaction = try begin(readOnly: false)
        for spec in specs { tables.append(try open(spec.name, transaction)) }
        meta = try open("meta", transaction)
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// Not a deinit: the order matters, threads first.
    func close() { mdb_env_close(env) }

    private func open(_ name: String, _ transaction: OpaquePointer) throws(StoreError) -> MDB_dbi {
        var dbi: MDB_dbi = 0
        var code = mdb_dbi_open(transaction, name, 0, &dbi)
        if code == MDB_NOTFOUND { code = mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &dbi) }
        try LMDBEnvironment.check(code, "mdb_dbi_open \(name)")
        return dbi
    }

    func begin(readOnly: Bool) throws(StoreError) -> OpaquePointer {
        var transaction: OpaquePointer?
        try LMDBEnvironment.check(
            mdb_txn_begin(env, nil, readOnly ? UInt32(MDB_RDONLY) : 0, &transaction), "mdb_txn_begin")
        guard let transaction else { throw .lmdb(operation: "mdb_txn_begin", code: ENOMEM) }
        return transaction
    }

    /// Lends LMDB's own memory; valid until the transaction is reset. `nil` = no record.
    static func get(
        _ transaction: OpaquePointer, _ dbi: MDB_dbi, _ key: UnsafeRawBufferPointer
    ) throws(StoreError) -> UnsafeRawBufferPointer? {
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var v = MDB_val()
        let code = mdb_get(transaction, dbi, &k, &v)
        if code == MDB_NOTFOUND { return nil }
        try check(code, "mdb_get")
        return UnsafeRawBufferPointer(start: v.mv_data, count: v.mv_size)
    }

    static func put(
        _ transaction: OpaquePointer, _ dbi: MDB_dbi, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> Int32 {
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var v = MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        return mdb_put(transaction, dbi, &k, &v, 0)
    }

    static func delete(_ transaction: OpaquePointer, _ dbi: MDB_dbi, _ key: UnsafeRawBufferPointer) -> Int32 {
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        let code = mdb_del(transaction, dbi, &k, nil)
        return code == MDB_NOTFOUND ? 0 : code
    }

    var lastTransactionID: Int {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        return info.me_last_txnid
    }

    /// Bytes up to the last page in use.
    var usedBytes: Int {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        return (info.me_last_pgno + 1) * 4096
    }
}
