import CLMDB
import Glibc

/// What the database's file looks like from outside: taken on the checkpoint's thread, once a checkpoint.
public struct FileGauges: Sendable, Equatable {
    /// Pages up to the last one ever used: the file's length.
    public var filePages: UInt64 = 0
    /// Of them, pages that the next transactions may use.
    public var freePages: UInt64 = 0
    /// Of the deepest table's tree.
    public var treeDepth: UInt64 = 0
    /// The newest transaction.
    public var lastTransaction: UInt64 = 0
    /// The oldest transaction that a reader still sees, other processes' readers included: what was freed after it can't be used again.
    public var oldestReader: UInt64 = 0
    /// Rows by table, expired ones that are still stored included.
    public var rows: [UInt64] = []

    /// Pages that hold something.
    public var usedPages: UInt64 { filePages - min(filePages, freePages) }
    /// How far the oldest reader is behind. A stuck one makes the file grow.
    public var readerLag: UInt64 { lastTransaction - min(lastTransaction, oldestReader) }
}

extension LMDBEnvironment {
    /// Reads a few pages: the heads of the trees and the list of free pages.
    func gauges() throws(StoreError) -> FileGauges {
        let oldest = oldestReader()
        let transaction = try begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        var gauges = FileGauges()
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        gauges.filePages = UInt64(info.me_last_pgno + 1)
        gauges.lastTransaction = UInt64(info.me_last_txnid)
        gauges.oldestReader = oldest ?? gauges.lastTransaction
        for table in tables {
            var statistics = MDB_stat()
            try LMDBEnvironment.check(mdb_stat(transaction, table, &statistics), "mdb_stat")
            gauges.treeDepth = max(gauges.treeDepth, UInt64(statistics.ms_depth))
            gauges.rows.append(UInt64(statistics.ms_entries))
        }
        gauges.freePages = try freePages(transaction)
        return gauges
    }

    /// LMDB keeps its free pages in database 0: by the transaction that freed them, a list that begins with its length.
    private func freePages(_ transaction: OpaquePointer) throws(StoreError) -> UInt64 {
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(mdb_cursor_open(transaction, 0, &cursor), "mdb_cursor_open")
        guard let cursor else { return 0 }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        var pages: UInt64 = 0
        while true {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            if code == MDB_NOTFOUND { return pages }
            try LMDBEnvironment.check(code, "mdb_cursor_get")
            if value.mv_size >= 8, let list = value.mv_data { pages += list.loadUnaligned(as: UInt64.self) }
        }
    }

    /// From LMDB's table of readers, which it tells as lines of text: process, thread, transaction (`-` = between two).
    private func oldestReader() -> UInt64? {
        var oldest: UInt64?
        withUnsafeMutablePointer(to: &oldest) { found in
            _ = mdb_reader_list(
                env,
                { line, context in
                    guard let line, let context else { return 0 }
                    let words = String(cString: line).split(whereSeparator: \.isWhitespace)
                    guard words.count == 3, let number = UInt64(words[2]) else { return 0 }
                    let found = context.assumingMemoryBound(to: UInt64?.self)
                    found.pointee = min(found.pointee ?? number, number)
                    return 0
                }, found)
        }
        return oldest
    }
}
