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
        let isOpen = try openAll(specs)
        if !isOpen { try createAll(specs) }
        try checkTransactionID(path)
    }

    /// Opens every database in a read transaction, so that a start writes nothing; false when one doesn't exist yet.
    private func openAll(_ specs: [TableSpec]) throws(StoreError) -> Bool {
        let transaction = try begin(readOnly: true)
        for name in specs.map(\.name) + ["meta"] {
            var dbi: MDB_dbi = 0
            let code = mdb_dbi_open(transaction, name, 0, &dbi)
            if code == 0 {
                tables.append(dbi)
                continue
            }
            mdb_txn_abort(transaction)
            tables = []
            if code == MDB_NOTFOUND { return false }
            throw .lmdb(operation: "mdb_dbi_open \(name)", code: code)
        }
        meta = tables.removeLast()
        // Handles of an aborted transaction are closed, those of a committed one stay.
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
        return true
    }

    private func createAll(_ specs: [TableSpec]) throws(StoreError) {
        let transaction = try begin(readOnly: false)
        for spec in specs { tables.append(try create(spec.name, transaction)) }
        meta = try create("meta", transaction)
        try LMDBEnvironment.check(putTransactionID(transaction), "mdb_put txn")
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    private func create(_ name: String, _ transaction: OpaquePointer) throws(StoreError) -> MDB_dbi {
        var dbi: MDB_dbi = 0
        try LMDBEnvironment.check(mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &dbi), "mdb_dbi_open \(name)")
        return dbi
    }

    /// Every transaction of ours carries its own id: what a meta page points to must be the tree it was written with.
    func putTransactionID(_ transaction: OpaquePointer) -> Int32 {
        withUnsafeBytes(of: UInt64(mdb_txn_id(transaction)).bigEndian) { value in
            "txn".withMeta { LMDBEnvironment.put(transaction, meta, $0, value) }
        }
    }

    private func checkTransactionID(_ path: String) throws(StoreError) {
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        var found: UInt64?
        var failure: StoreError?
        "txn".withMeta { key in
            do throws(StoreError) {
                if let bytes = try LMDBEnvironment.get(transaction, meta, key), bytes.count == 8 { found = bytes.u64(0) }
            } catch { failure = error }
        }
        if let failure { throw failure }
        let id = UInt64(mdb_txn_id(transaction))
        guard found == id else {
            throw .damaged(
                path: path,
                detail: "LMDB's last transaction is \(id), and ours was \(found.map { "\($0)" } ?? "none"): another program "
                    + "wrote to it, or pages were lost")
        }
    }

    /// Not a deinit: the order matters, threads first.
    func close() { mdb_env_close(env) }

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

    /// Bytes up to the last page in use.
    var usedBytes: Int {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        return (info.me_last_pgno + 1) * 4096
    }
}
