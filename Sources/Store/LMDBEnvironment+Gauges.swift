import CLMDB
import Glibc
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
    /// The process that it belongs to; 0 = none.
    public var oldestReaderPID: Int32 = 0
    /// Pages of the map: the file can't grow beyond it.
    public var mapPages: UInt64 = 0
    /// Rows by table, expired ones that are still stored included.
    public var rows: [UInt64] = []

    /// Pages that hold something.
    public var usedPages: UInt64 { filePages - min(filePages, freePages) }
    /// How far the oldest reader is behind. A stuck one makes the file grow.
    public var readerLag: UInt64 { lastTransaction - min(lastTransaction, oldestReader) }
}

extension LMDBEnvironment {
    /// A reader so many transactions behind may be one whose process is gone: LMDB doesn't look by itself. A large checkpoint alone makes
    /// some hundred.
    private static let suspiciousLag: UInt64 = 256

    /// Reads a few pages: the heads of the trees and the list of free pages.
    func gauges() throws(StoreError) -> FileGauges {
        var readers = self.readers()
        if let oldest = readers.oldest, newestTransaction - min(newestTransaction, oldest) > LMDBEnvironment.suspiciousLag,
            try dropDeadReaders() > 0
        {
            readers = self.readers()
        }
        return try look { (transaction) throws(StoreError) in
            var gauges = FileGauges()
            var info = MDB_envinfo()
            mdb_env_info(env, &info)
            gauges.filePages = UInt64(info.me_last_pgno + 1)
            gauges.mapPages = UInt64(info.me_mapsize / 4096)
            gauges.lastTransaction = UInt64(info.me_last_txnid)
            gauges.oldestReader = readers.oldest ?? gauges.lastTransaction
            gauges.oldestReaderPID = readers.pid
            for table in tables {
                var statistics = MDB_stat()
                try LMDBEnvironment.check(mdb_stat(transaction, table, &statistics), "mdb_stat")
                gauges.treeDepth = max(gauges.treeDepth, UInt64(statistics.ms_depth))
                gauges.rows.append(UInt64(statistics.ms_entries))
            }
            gauges.freePages = try freePages(transaction, before: readers.oldestForeign ?? .max)
            return gauges
        }
    }

    private var newestTransaction: UInt64 {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        return UInt64(info.me_last_txnid)
    }

    /// LMDB keeps its free pages in database 0: by the transaction that freed them, a list that begins with its length. What was freed
    /// after another process's reader began can't be used while it lives; our own move on with each checkpoint.
    private func freePages(_ transaction: OpaquePointer, before oldest: UInt64) throws(StoreError) -> UInt64 {
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
            guard key.mv_size == 8, let freed = key.mv_data?.loadUnaligned(as: UInt64.self), freed < oldest else { return pages }
            if value.mv_size >= 8, let list = value.mv_data { pages += list.loadUnaligned(as: UInt64.self) }
        }
    }

    /// Who reads the oldest transaction, and the oldest that another process reads.
    private struct Readers {
        var oldest: UInt64?
        var pid: Int32 = 0
        var oldestForeign: UInt64?
    }

    /// From LMDB's table of readers, which it tells as lines of text: process, thread, transaction (`-` = between two).
    private func readers() -> Readers {
        var readers = Readers()
        withUnsafeMutablePointer(to: &readers) { found in
            _ = mdb_reader_list(
                env,
                { line, context in
                    guard let line, let context else { return 0 }
                    let words = String(cString: line).split(whereSeparator: \.isWhitespace)
                    guard words.count == 3, let pid = Int32(words[0]), let number = UInt64(words[2]) else { return 0 }
                    let found = context.assumingMemoryBound(to: Readers.self)
                    if number < found.pointee.oldest ?? .max { (found.pointee.oldest, found.pointee.pid) = (number, pid) }
                    if pid != getpid() {
                        found.pointee.oldestForeign = min(found.pointee.oldestForeign ?? number, number)
                    }
                    return 0
                }, found)
        }
        return readers
    }
}
