import CLMDB
import CLinuxShim
import Glibc

/// One LMDB environment under otpd's rules: MDB_NOTLS alone, every database opened once, fixed big-endian keys.
final class LMDBEnvironment {
    /// Of what our databases hold; LMDB's file has a number of its own. Format 1 had no seal: it is read, and becomes format 2 with the
    /// first transaction.
    static let format: UInt32 = 2
    /// Stands for a table that isn't there: LMDB never gives this handle.
    private static let noTable = MDB_dbi.max

    let env: OpaquePointer
    /// By table id; all valid after `createTables`.
    private(set) var tables: [MDB_dbi] = []
    private(set) var meta: MDB_dbi = 0
    let path: String
    /// Of the tables' databases.
    let names: [String]
    private(set) var isOfFirstFormat = false
    private var isClosed = false
    /// Bytes of the file that have their place on the disk.
    private var reservedBytes = 0
    /// Bits of the tables that were ever made.
    private var made: UInt32 = 0
    /// Who looks at a snapshot for a while.
    enum Looker: Int, CaseIterable {
        case survey, checkpoint
    }
    /// A transaction for each, with a place of its own from the start: readers of other processes may take all others.
    private var lookers: [OpaquePointer] = []

    /// No table was made yet: the first start of a new folder.
    var isNew: Bool { tables.allSatisfy { $0 == LMDBEnvironment.noTable } }

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

    /// Opens an environment that `create` made, and every database that is there. It writes nothing.
    init(path: String, mapBytes: Int, tables specs: [TableSpec]) throws(StoreError) {
        self.path = path
        names = specs.map(\.name)
        guard FileSystem.exists(path + "/data.mdb") else {
            throw .damaged(path: path + "/data.mdb", detail: "the database is missing")
        }
        env = try LMDBEnvironment.openEnvironment(path, mapBytes: mapBytes)
        try dropDeadReaders()
        let transaction = try begin(readOnly: true)
        do throws(StoreError) {
            guard let dbi = try LMDBEnvironment.open("meta", transaction) else {
                throw .damaged(path: path, detail: "the database has no `meta`")
            }
            meta = dbi
            try checkFormat(transaction)
            try checkTransactionID(transaction)
            for spec in specs {
                tables.append(try LMDBEnvironment.open(spec.name, transaction) ?? LMDBEnvironment.noTable)
            }
            try checkTables(specs, transaction)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        // Handles of an aborted transaction are closed, those of a committed one stay.
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
        for _ in Looker.allCases {
            let looker = try begin(readOnly: true)
            mdb_txn_reset(looker)
            lookers.append(looker)
        }
    }

    /// The newest snapshot, without a new place in the table of readers. One thread at a time for each looker.
    func look<R>(
        _ looker: Looker, _ body: (OpaquePointer) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        let transaction = lookers[looker.rawValue]
        try LMDBEnvironment.check(mdb_txn_renew(transaction), "mdb_txn_renew")
        defer { mdb_txn_reset(transaction) }
        return try body(transaction)
    }

    /// Places of readers whose process is gone are free again. Returns how many there were.
    @discardableResult
    func dropDeadReaders() throws(StoreError) -> Int {
        var dead: Int32 = 0
        try LMDBEnvironment.check(mdb_reader_check(env, &dead), "mdb_reader_check")
        return Int(dead)
    }

    /// A new environment, with `meta` alone, in an empty folder.
    static func create(at path: String) throws(StoreError) {
        let env = try openEnvironment(path, mapBytes: 1 << 20)
        defer { mdb_env_close(env) }
        while true {
            do throws(StoreError) { return try createMeta(env) } catch .lmdb(_, EINTR) { continue }
        }
    }

    private static func createMeta(_ env: OpaquePointer) throws(StoreError) {
        var handle: OpaquePointer?
        try check(mdb_txn_begin(env, nil, 0, &handle), "mdb_txn_begin")
        guard let transaction = handle else { throw .lmdb(operation: "mdb_txn_begin", code: ENOMEM) }
        var meta: MDB_dbi = 0
        var code = mdb_dbi_open(transaction, "meta", UInt32(MDB_CREATE), &meta)
        if code == 0 { code = putNumber(transaction, meta, "format", format) }
        if code == 0 { code = putSeal(transaction, meta, []) }
        guard code == 0 else {
            mdb_txn_abort(transaction)
            throw .lmdb(operation: "mdb_put meta", code: code)
        }
        try check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// An interrupted read of the file's head ends LMDB's open, and one that came short looks like another program's file. An environment
    /// that didn't open can only be closed: each try is a new one.
    private static func openEnvironment(_ path: String, mapBytes: Int) throws(StoreError) -> OpaquePointer {
        try checkVersion()
        var isSecondLook = false
        while true {
            do throws(StoreError) { return try openNew(path, mapBytes: mapBytes) } catch .lmdb(_, EINTR) {
                continue
            } catch .damaged where !isSecondLook {
                isSecondLook = true
            }
        }
    }

    private static func openNew(_ path: String, mapBytes: Int) throws(StoreError) -> OpaquePointer {
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle), "mdb_env_create")
        guard let env = handle else { throw .lmdb(operation: "mdb_env_create", code: ENOMEM) }
        do throws(StoreError) {
            try check(mdb_env_set_maxdbs(env, 40), "mdb_env_set_maxdbs")
            try check(mdb_env_set_mapsize(env, mapBytes), "mdb_env_set_mapsize")
            switch mdb_env_open(env, path, UInt32(MDB_NOTLS), 0o600) {
            case 0: break
            case MDB_VERSION_MISMATCH:
                throw .newerFormat(path: path + "/data.mdb", found: "another version of LMDB's file")
            case let code where code == EACCES || code == EPERM:
                let isLock = access(path + "/lock.mdb", R_OK | W_OK) != 0 && errno != ENOENT
                throw .io(operation: "open", path: path + (isLock ? "/lock.mdb" : "/data.mdb"), code: code)
            case MDB_INVALID: throw .damaged(path: path + "/data.mdb", detail: "the file isn't LMDB's")
            case let code: throw .lmdb(operation: "mdb_env_open \(path)", code: code)
            }
            // LMDB opens its main descriptor without O_CLOEXEC.
            var fd: mdb_filehandle_t = -1
            try check(mdb_env_get_fd(env, &fd), "mdb_env_get_fd")
            guard fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 else {
                throw .io(operation: "fcntl", path: path + "/data.mdb", code: errno)
            }
            return env
        } catch {
            mdb_env_close(env)
            throw error
        }
    }

    /// `nil` = there is no such database.
    private static func open(_ name: String, _ transaction: OpaquePointer) throws(StoreError) -> MDB_dbi? {
        var dbi: MDB_dbi = 0
        let code = mdb_dbi_open(transaction, name, 0, &dbi)
        if code == MDB_NOTFOUND { return nil }
        try check(code, "mdb_dbi_open \(name)")
        var flags: UInt32 = 0
        try check(mdb_dbi_flags(transaction, dbi, &flags), "mdb_dbi_flags \(name)")
        guard flags == 0 else { throw .damaged(path: "lmdb \(name)", detail: "it has flags that otpd never sets (\(flags))") }
        return dbi
    }

    /// A table that was made once and isn't there has lost its name to a flipped bit: making it anew would forget all it held.
    private func checkTables(_ specs: [TableSpec], _ transaction: OpaquePointer) throws(StoreError) {
        made = UInt32(truncatingIfNeeded: try number("tables", bytes: 4, transaction) ?? 0)
        for (index, spec) in specs.enumerated() where made & 1 << spec.id != 0 && tables[index] == LMDBEnvironment.noTable {
            throw .damaged(path: path, detail: "the table `\(spec.name)` is gone")
        }
    }

    /// Makes the tables that aren't there yet; a start that finds all writes nothing.
    func createTables(_ specs: [TableSpec]) throws(StoreError) {
        let all = specs.reduce(0) { $0 | UInt32(1) << $1.id }
        let missing = tables
        while tables.contains(LMDBEnvironment.noTable) || made & all != all {
            do throws(StoreError) { return try createMissing(specs, all) } catch .lmdb(_, EINTR) {
                // Nothing was committed, and the handles of an aborted transaction are closed.
                tables = missing
            }
        }
    }

    private func createMissing(_ specs: [TableSpec], _ all: UInt32) throws(StoreError) {
        let transaction = try begin(readOnly: false)
        do throws(StoreError) {
            for (index, spec) in specs.enumerated() where tables[index] == LMDBEnvironment.noTable {
                try LMDBEnvironment.check(
                    mdb_dbi_open(transaction, spec.name, UInt32(MDB_CREATE), &tables[index]), "mdb_dbi_open \(spec.name)")
            }
            try LMDBEnvironment.check(
                LMDBEnvironment.putNumber(transaction, meta, "tables", made | all), "mdb_put tables")
            try LMDBEnvironment.check(putSeal(transaction), "mdb_put txn")
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
    }

    /// Takes the place of the next `pages` pages on the disk before LMDB writes. On a full disk a write comes back short, and LMDB calls
    /// that EIO, as it calls a broken disk: with its place taken it can't happen, and ENOSPC comes here, where nothing is at stake.
    func reserve(pages: Int) throws(StoreError) {
        let end = fileBytes + pages * 4096
        guard end > reservedBytes else { return }
        var fd: mdb_filehandle_t = -1
        try LMDBEnvironment.check(mdb_env_get_fd(env, &fd), "mdb_env_get_fd")
        switch linux_reserve(fd, off_t(reservedBytes), off_t(end - reservedBytes)) {
        case 0: reservedBytes = end
        // A file system that can't: LMDB finds out by itself.
        case -EOPNOTSUPP, -ENOSYS: reservedBytes = .max
        case let code: throw .io(operation: "fallocate", path: path + "/data.mdb", code: -code)
        }
    }

    static func putNumber(
        _ transaction: OpaquePointer, _ meta: MDB_dbi, _ key: String, _ number: some FixedWidthInteger
    ) -> Int32 {
        withUnsafeBytes(of: number.bigEndian) { value in key.withMeta { put(transaction, meta, $0, value) } }
    }

    func number(_ key: String, bytes count: Int, _ transaction: OpaquePointer) throws(StoreError) -> UInt64? {
        var found: Result<UInt64?, StoreError> = .success(nil)
        key.withMeta { key in
            do throws(StoreError) {
                guard let bytes = try LMDBEnvironment.get(transaction, meta, key), bytes.count == count else { return }
                found = .success(bytes.reduce(0) { $0 << 8 | UInt64($1) })
            } catch { found = .failure(error) }
        }
        return try found.get()
    }

    private func checkFormat(_ transaction: OpaquePointer) throws(StoreError) {
        guard let found = try number("format", bytes: 4, transaction) else {
            throw .damaged(path: path, detail: "the database says no format")
        }
        guard (1...UInt64(LMDBEnvironment.format)).contains(found) else {
            throw .newerFormat(path: path, found: "database \(found)")
        }
        isOfFirstFormat = found == 1
    }

    /// Our number must be that of LMDB's newest transaction: another program's makes it too small, and a stale tree under a new
    /// meta page does too (LMDB 0.9 has no checksums).
    private func checkTransactionID(_ transaction: OpaquePointer) throws(StoreError) {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        let newest = UInt64(bitPattern: Int64(info.me_last_txnid))
        let seal = try seal(in: transaction)
        let ours = seal == nil ? try number("txn", bytes: 8, transaction) : seal?.id
        guard ours == newest, newest == UInt64(mdb_txn_id(transaction)) else {
            throw .damaged(
                path: path,
                detail: "LMDB's newest transaction is \(newest), and otpd's was \(ours.map { "\($0)" } ?? "none"): another "
                    + "program wrote to it, or pages were lost")
        }
    }

    /// Once, after the threads have ended and the read transaction is gone.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        for looker in lookers { mdb_txn_abort(looker) }
        mdb_env_close(env)
    }

    /// A start that was refused closes it here.
    deinit { close() }

    func begin(readOnly: Bool) throws(StoreError) -> OpaquePointer {
        var transaction: OpaquePointer?
        let flags = readOnly ? UInt32(MDB_RDONLY) : 0
        var code = mdb_txn_begin(env, nil, flags, &transaction)
        if code == MDB_READERS_FULL, try dropDeadReaders() > 0 { code = mdb_txn_begin(env, nil, flags, &transaction) }
        if code == MDB_READERS_FULL { throw .readersFull(path: path) }
        try LMDBEnvironment.check(code, "mdb_txn_begin")
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

    /// Leaves the cursor at the record.
    static func put(_ cursor: OpaquePointer, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Int32 {
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var v = MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        return mdb_cursor_put(cursor, &k, &v, 0)
    }

    static func delete(_ transaction: OpaquePointer, _ dbi: MDB_dbi, _ key: UnsafeRawBufferPointer) -> Int32 {
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        let code = mdb_del(transaction, dbi, &k, nil)
        return code == MDB_NOTFOUND ? 0 : code
    }

    /// Bytes up to the last page that was ever used.
    private var fileBytes: Int {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        return (info.me_last_pgno + 1) * 4096
    }
}
