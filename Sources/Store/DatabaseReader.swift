import CLMDB
import Glibc

/// LMDB's file of a folder that another process may be serving: read alone, and no lock of LMDB's writer is
/// ever taken, so that a reader which is stopped or killed holds nobody up.
final class DatabaseReader {
    private let env: OpaquePointer
    private let meta: MDB_dbi
    private let owns: Bool
    let file: String

    /// Opens the database of a data folder.
    init(folder: String) throws(StoreError) {
        file = folder + "/lmdb/data.mdb"
        guard FileSystem.exists(file) else { throw .damaged(path: file, detail: "the database is missing") }
        MappedFile.opening(file)
        defer { MappedFile.opened() }
        try LMDBEnvironment.checkVersion()
        var handle: OpaquePointer?
        try LMDBEnvironment.check(mdb_env_create(&handle), "mdb_env_create")
        guard let env = handle else { throw .lmdb(operation: "mdb_env_create", code: ENOMEM) }
        do throws(StoreError) {
            try LMDBEnvironment.check(mdb_env_set_maxdbs(env, 4), "mdb_env_set_maxdbs")
            // No size of its own: LMDB takes the one that the server's last transaction wrote.
            let code = mdb_env_open(env, folder + "/lmdb", UInt32(MDB_NOTLS | MDB_RDONLY), 0o600)
            if code == MDB_INVALID { throw .damaged(path: file, detail: "the file isn't LMDB's") }
            try LMDBEnvironment.check(code, "mdb_env_open \(folder)/lmdb")
            meta = try DatabaseReader.openMeta(env)
        } catch {
            mdb_env_close(env)
            throw error
        }
        self.env = env
        owns = true
    }

    /// In the process that has the folder open: LMDB forbids to open a file twice.
    init(sharing environment: LMDBEnvironment, folder: String) {
        env = environment.env
        meta = environment.meta
        owns = false
        file = folder + "/lmdb/data.mdb"
    }

    deinit { if owns { mdb_env_close(env) } }

    private static func openMeta(_ env: OpaquePointer) throws(StoreError) -> MDB_dbi {
        let transaction = try begin(env)
        var dbi: MDB_dbi = 0
        let code = mdb_dbi_open(transaction, "meta", 0, &dbi)
        guard code == 0 else {
            mdb_txn_abort(transaction)
            throw .lmdb(operation: "mdb_dbi_open meta", code: code)
        }
        // Handles of a committed transaction stay.
        try LMDBEnvironment.check(mdb_txn_commit(transaction), "mdb_txn_commit")
        return dbi
    }

    fileprivate static func begin(_ env: OpaquePointer) throws(StoreError) -> OpaquePointer {
        var transaction: OpaquePointer?
        try LMDBEnvironment.check(mdb_txn_begin(env, nil, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin")
        guard let transaction else { throw .lmdb(operation: "mdb_txn_begin", code: ENOMEM) }
        return transaction
    }

    /// The journal's position in the newest committed transaction.
    func position() throws(StoreError) -> Position {
        let transaction = try DatabaseReader.begin(env)
        defer { mdb_txn_abort(transaction) }
        return try position(transaction)
    }

    /// Of what the databases hold; `nil` = they don't say.
    func format() throws(StoreError) -> UInt32? {
        let transaction = try DatabaseReader.begin(env)
        defer { mdb_txn_abort(transaction) }
        return try bytes("format", transaction).flatMap {
            $0.count == 4 ? $0.withUnsafeBytes { $0.u32(0) } : nil
        }
    }

    private func position(_ transaction: OpaquePointer) throws(StoreError) -> Position {
        guard let bytes = try bytes("position", transaction) else { return Position() }
        guard let position = bytes.withUnsafeBytes({ Position($0) }) else {
            throw .damaged(path: file, detail: "the position has a wrong length")
        }
        return position
    }

    private func bytes(_ key: String, _ transaction: OpaquePointer) throws(StoreError) -> [UInt8]? {
        var found: Result<[UInt8]?, StoreError> = .success(nil)
        key.withMeta { key in
            do throws(StoreError) {
                found = .success(try LMDBEnvironment.get(transaction, meta, key).map(Array.init))
            } catch {
                found = .failure(error)
            }
        }
        return try found.get()
    }

    /// The newest committed state, held until it is released.
    func snapshot() throws(StoreError) -> DatabaseSnapshot {
        // A transaction's meta page gives way to the second after it. That one comes once a second, or in a
        // row of a checkpoint's.
        for _ in 0..<1_000 {
            let transaction = try DatabaseReader.begin(env)
            do throws(StoreError) {
                if let heads = try metaPages(UInt64(mdb_txn_id(transaction))) {
                    return DatabaseSnapshot(
                        reader: self, transaction: transaction, position: try position(transaction),
                        heads: heads,
                        bytes: min(
                            LMDBMeta.bytes(heads, UInt64(mdb_txn_id(transaction))),
                            try FileDescriptor(file, O_RDONLY).size))
                }
            } catch {
                mdb_txn_abort(transaction)
                throw error
            }
            mdb_txn_abort(transaction)
            usleep(500)
        }
        throw .restless(path: file, tries: 1_000)
    }

    /// Both meta pages while `transaction` is the newest: `nil` if it is no longer. LMDB writes them in turn,
    /// so the page of this one can't be in writing before the next has been written to the other; seen old
    /// after this one was read, it wasn't.
    private func metaPages(_ transaction: UInt64) throws(StoreError) -> [UInt8]? {
        let first = try readHeads()
        let second = try readHeads()
        guard first == second, LMDBMeta.transactions(second).max() == transaction,
            LMDBMeta.transactions(second)[Int(transaction & 1)] == transaction
        else { return nil }
        return second
    }

    private func readHeads() throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2 * LMDBMeta.pageBytes)
        let input = try FileDescriptor(file, O_RDONLY)
        var result: Result<Int, StoreError> = .success(0)
        bytes.withUnsafeMutableBytes { raw in
            do throws(StoreError) { result = .success(try input.read(into: raw, at: 0)) } catch {
                result = .failure(error)
            }
        }
        guard try result.get() == bytes.count else {
            throw .damaged(path: file, detail: "it is shorter than its two meta pages")
        }
        return bytes
    }
}

/// A state of the database that no transaction after it changes: a read transaction of LMDB.
final class DatabaseSnapshot {
    private let reader: DatabaseReader
    private let transaction: OpaquePointer
    /// How far the journal is folded into it. Of a checkpoint in several transactions it may hold rows that
    /// are newer.
    let position: Position
    /// The two meta pages that belong to it.
    let heads: [UInt8]
    /// Of the file, from its beginning.
    let bytes: Int

    fileprivate init(
        reader: DatabaseReader, transaction: OpaquePointer, position: Position, heads: [UInt8], bytes: Int
    ) {
        self.reader = reader
        self.transaction = transaction
        self.position = position
        self.heads = heads
        self.bytes = bytes
    }

    deinit { mdb_txn_abort(transaction) }
}

/// What of LMDB 0.9's file format a copy must know: page 0 and 1 are meta pages, a head of 16 bytes and
/// `MDB_meta`, in the machine's order of bytes. LMDB's own `mdb_env_copy` locks the writer out while it reads
/// them, and one that is stopped there stops the server.
enum LMDBMeta {
    static let pageBytes = 4096
    private static let lastPageOffset = 16 + 120
    private static let transactionOffset = 16 + 128
    /// Of the records of LMDB's own two databases: the list of free pages, and the main one.
    static let (freeRecord, mainRecord) = (16 + 24, 16 + 24 + Tree.recordBytes)

    /// The transaction of each.
    static func transactions(_ heads: [UInt8]) -> [UInt64] {
        heads.withUnsafeBytes { raw in
            [0, pageBytes].map { raw.loadUnaligned(fromByteOffset: $0 + transactionOffset, as: UInt64.self) }
        }
    }

    /// Of the file, up to the last page that the transaction knows.
    static func bytes(_ heads: [UInt8], _ transaction: UInt64) -> Int {
        heads.withUnsafeBytes { raw in
            let offset = Int(transaction & 1) * pageBytes + lastPageOffset
            return (Int(truncatingIfNeeded: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) + 1)
                * pageBytes
        }
    }
}
