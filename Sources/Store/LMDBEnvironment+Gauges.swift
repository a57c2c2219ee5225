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

/// A snapshot seen as a whole.
struct FileSurvey: Sendable {
    /// Of which transaction.
    let transaction: UInt64
    let gauges: FileGauges
    /// By table: as they were sealed.
    let trees: [Tree]
    /// LMDB's list of free pages: none of them is in a tree.
    let free: PageSet
    /// That are in the file: LMDB may know of some behind its end, which were free again before they were written.
    let writtenPages: UInt64
}

extension LMDBEnvironment {
    /// LMDB's meta pages, at the file's head.
    private static let metaPages: UInt64 = 2
    /// A reader so many transactions behind may be one whose process is gone: LMDB doesn't look by itself. A large
    /// checkpoint alone makes some hundred.
    private static let suspiciousLag: UInt64 = 256

    /// Reads the records of the trees and the list of free pages: 8 bytes each. Throws if they can't all be what was written.
    func survey() throws(StoreError) -> FileSurvey {
        let readers = try readersThatLive()
        return try look(.survey) { (transaction) throws(StoreError) in
            var info = MDB_envinfo()
            mdb_env_info(env, &info)
            var gauges = FileGauges()
            gauges.filePages = UInt64(bitPattern: Int64(info.me_last_pgno &+ 1))
            gauges.mapPages = UInt64(info.me_mapsize / TreePage.bytes)
            gauges.lastTransaction = UInt64(bitPattern: Int64(info.me_last_txnid))
            gauges.oldestReader = readers.oldest ?? gauges.lastTransaction
            gauges.oldestReaderPID = readers.pid
            guard gauges.filePages <= gauges.mapPages else {
                throw .damaged(path: path, detail: "it ends beyond its own map")
            }
            let trees = try trees(in: transaction)
            var inTrees = LMDBEnvironment.metaPages
            // LMDB's own two databases, and `meta`.
            for database: MDB_dbi in [0, 1, meta] { inTrees &+= try pages(database, transaction) }
            for tree in trees {
                inTrees &+= tree.counts.branchPages &+ tree.counts.leafPages
                gauges.treeDepth = max(gauges.treeDepth, UInt64(tree.counts.depth))
                gauges.rows.append(tree.counts.entries)
            }
            let free = PageSet(pages: Int(gauges.filePages))
            let listed = try collectFreePages(transaction, filePages: gauges.filePages, into: free)
            // A page that is free and in use would be written over by the next transactions.
            guard inTrees <= gauges.filePages - listed.last(before: .max) else {
                throw .damaged(
                    path: path,
                    detail: "\(inTrees) pages in use and \(listed.last(before: .max)) free ones are more than the "
                        + "\(gauges.filePages) there are")
            }
            // What was freed after another process's reader began can't be used while it lives; our own move on with
            // each checkpoint.
            gauges.freePages = listed.last(before: readers.oldestForeign ?? .max)
            return FileSurvey(
                transaction: UInt64(mdb_txn_id(transaction)), gauges: gauges, trees: trees, free: free,
                writtenPages: min(gauges.filePages, try writtenPages()))
        }
    }

    private func writtenPages() throws(StoreError) -> UInt64 {
        var fd: mdb_filehandle_t = -1
        try LMDBEnvironment.check(mdb_env_get_fd(env, &fd), "mdb_env_get_fd")
        var info = stat()
        guard fstat(fd, &info) == 0 else { throw .io(operation: "stat", path: path + "/data.mdb", code: errno) }
        return UInt64(info.st_size) / UInt64(TreePage.bytes)
    }

    private func pages(_ database: MDB_dbi, _ transaction: OpaquePointer) throws(StoreError) -> UInt64 {
        var statistics = MDB_stat()
        try LMDBEnvironment.check(mdb_stat(transaction, database, &statistics), "mdb_stat")
        let pages = statistics.ms_branch_pages &+ statistics.ms_leaf_pages &+ statistics.ms_overflow_pages
        return UInt64(bitPattern: Int64(pages))
    }

    /// Free pages by the transaction that freed them, summed up.
    private struct FreePages {
        var sums: [(freedBy: UInt64, pages: UInt64)] = []

        /// All that were freed before a transaction.
        func last(before transaction: UInt64) -> UInt64 { sums.last { $0.freedBy < transaction }?.pages ?? 0 }
    }

    /// LMDB keeps its free pages in database 0: by the transaction that freed them, a list that begins with its length.
    private func collectFreePages(
        _ transaction: OpaquePointer, filePages: UInt64, into free: PageSet
    ) throws(StoreError) -> FreePages {
        var found = FreePages()
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(mdb_cursor_open(transaction, 0, &cursor), "mdb_cursor_open")
        guard let cursor else { return found }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        while true {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            if code == MDB_NOTFOUND { return found }
            try LMDBEnvironment.check(code, "mdb_cursor_get")
            let list = UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            let former = found.sums.last ?? (0, 0)
            guard key.mv_size == 8, let id = key.mv_data?.loadUnaligned(as: UInt64.self), id > former.freedBy,
                id <= UInt64(mdb_txn_id(transaction)), let count = insert(list, filePages, into: free)
            else { throw .damaged(path: path, detail: "the list of free pages isn't one") }
            found.sums.append((id, former.pages + count))
        }
    }

    /// How many pages a list names, each a page of the file that no other has; `nil` = it isn't one.
    private func insert(_ list: UnsafeRawBufferPointer, _ filePages: UInt64, into free: PageSet) -> UInt64? {
        guard list.count >= 8, list.count % 8 == 0 else { return nil }
        let count = list.loadUnaligned(as: UInt64.self)
        guard count < UInt64(list.count / 8) else { return nil }
        for index in 0..<Int(count) {
            let page = list.loadUnaligned(fromByteOffset: 8 + 8 * index, as: UInt64.self)
            guard page >= LMDBEnvironment.metaPages, page < filePages, free.insert(page) else { return nil }
        }
        return count
    }

    /// Who reads the oldest transaction, and the oldest that another process reads.
    private struct Readers {
        var oldest: UInt64?
        var pid: Int32 = 0
        var oldestForeign: UInt64?
    }

    /// A reader that is far behind and whose process is gone loses its place first.
    private func readersThatLive() throws(StoreError) -> Readers {
        var info = MDB_envinfo()
        mdb_env_info(env, &info)
        let newest = UInt64(bitPattern: Int64(info.me_last_txnid))
        let readers = readers()
        guard let oldest = readers.oldest, newest - min(newest, oldest) > LMDBEnvironment.suspiciousLag,
            try dropDeadReaders() > 0
        else { return readers }
        return self.readers()
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
