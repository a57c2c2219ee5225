import CLMDB
import CLinuxShim
import Glibc
import Synchronization

/// Finds the data keys that no row needs any more, on a thread of its own: each start adds one, and rows are
/// sealed anew when they are written. Once a start, when there are many.
///
/// It looks at a snapshot that holds this start's first checkpoint. From there on the journal's records and
/// whatever is written are sealed with this start's key; what was sealed with an older one is in the snapshot.
final class KeyPruner: @unchecked Sendable {  // `isStopping` is atomic, the rest is set before the thread starts
    /// Rows between two looks at `isStopping`.
    private static let rowsAtATime = 4_096

    private let environment: LMDBEnvironment
    private let keyring: Keyring
    private let worker: Worker
    private let isStopping = Atomic<Bool>(false)
    private let outcome = Mutex<Result<Int, StoreError>?>(nil)

    init(_ environment: LMDBEnvironment, _ keyring: Keyring, runsByHand: Bool) {
        self.environment = environment
        self.keyring = keyring
        worker = Worker(name: "otpd-keys", yields: true, runsByHand: runsByHand)
    }

    func start() {
        worker.start { [self] in
            let result = Result { () throws(StoreError) in try prune() }
            outcome.withLock { $0 = result }
            worker.finishJob()
        }
    }

    /// How many keys went, once; `nil` while it is at work. No room, for the file or among LMDB's readers, leaves all as it was: the next
    /// start tries again.
    func take() throws(StoreError) -> Int? {
        let result = outcome.withLock { box in
            defer { box = nil }
            return box
        }
        do { return try result?.get() } catch .readersFull { return 0 } catch .io(_, _, let code) where FileSystem.isFull(code) {
            return 0
        }
    }

    /// Before the environment is closed.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        worker.stop()
    }

    private func prune() throws(StoreError) -> Int {
        var needed: Set<UInt32> = [keyring.newest.id]
        let transaction = try environment.begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        for table in environment.tables {
            guard try collect(table, transaction, &needed) else { return 0 }
        }
        return try keyring.prune(keeping: needed)
    }

    /// False: the store is being closed.
    private func collect(
        _ table: MDB_dbi, _ transaction: OpaquePointer, _ needed: inout Set<UInt32>
    ) throws(StoreError) -> Bool {
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(mdb_cursor_open(transaction, table, &cursor), "mdb_cursor_open")
        guard let cursor else { return false }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        var statistics = MDB_stat()
        try LMDBEnvironment.check(mdb_stat(transaction, table, &statistics), "mdb_stat")
        var (rows, newest): (Int, UInt32) = (0, 0)
        while true {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            // Rows that a damaged page hides may need any key.
            if code == MDB_NOTFOUND { return rows == statistics.ms_entries }
            try LMDBEnvironment.check(code, "mdb_cursor_get")
            rows += 1
            // What is too short to be sealed needs none; who reads it finds out.
            guard value.mv_size >= Envelope.checkOffset else { continue }
            let id = Envelope.dataKey(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
            if id != newest { needed.insert(id) }
            newest = id
            if rows % KeyPruner.rowsAtATime == 0, isStopping.load(ordering: .relaxed) { return false }
        }
    }
}
