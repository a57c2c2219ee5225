import CLMDB
import CLinuxShim
import Glibc
import LibCrypto
import Synchronization

/// Folds a frozen overlay into LMDB, in key order, and has what is over swept out. Runs on its own thread; between jobs nothing of it is
/// touched by anyone.
package final class Checkpointer {
    enum Outcome: Sendable {
        case done(CheckpointReport)
        /// The disk or the map is full and nothing was lost: try again later.
        case retry
        case failed(StoreError)
    }

    /// Where a checkpoint can be cut off.
    package enum Step: Sendable, CaseIterable {
        /// One of several transactions is committed, and more keys follow.
        case keysCommitted
        /// All keys are written, nothing has expired yet.
        case keysWritten
        /// The position is written, not committed.
        case positionWritten
        /// Committed; no segment is recycled.
        case committed
        /// All done; the loop doesn't know yet.
        case recycled
    }

    /// Pages of one LMDB transaction, about: bounds how long the writer lock and dirty pages are held, and how many of these a journal sync
    /// finds before it in the disk's queue. Many when the next checkpoint is due already: each transaction writes the tree's upper pages again.
    var pagesPerTransaction = (inPace: 64, behind: 4_096)
    /// A bulk load's checkpoint has more in each: what a transaction frees can't be used again before all of them have ended, because the
    /// loop reads the database as it was.
    private static let mostTransactions = 128
    /// Keys of a time-ordered table that share a page.
    private static let keysPerPage = 16
    /// For tests: more, smaller transactions.
    var keysPerTransaction = Int.max
    /// `nil` = without rests between transactions.
    var pace: Pace?
    /// For tests: true cuts the checkpoint off at a step, as a kill would.
    var cutsOff: ((Step) -> Bool)?

    private let environment: LMDBEnvironment
    private let specs: [TableSpec]
    private let sealer: TableSealer
    private let sweeper: Sweeper
    private let opener: TableOpener
    /// The database as the last checkpoint left it, and what that said of it.
    private var before: TreeReader?
    private var surveyed: FileSurvey?
    private let folder: String
    private let journalFolder: String
    private let segmentBytes: Int
    /// Keys of the overlay in hand that are written: the loop admits as many new ones.
    let written = Atomic<Int>(0)
    /// The position that LMDB holds, once a checkpoint has written it.
    private var stored: Position?
    /// On the table that is being written: keys come in order, so most find their leaf without a search from the root.
    private var cursor: (table: UInt8, handle: OpaquePointer)?

    init(
        environment: LMDBEnvironment, specs: [TableSpec], keyring: Keyring, folder: String,
        journalFolder: String, segmentBytes: Int
    ) throws(StoreError) {
        self.environment = environment
        self.specs = specs
        sealer = TableSealer(keyring.newest)
        opener = TableOpener(keyring)
        sweeper = try Sweeper(environment: environment, specs: specs, keyring: keyring)
        self.folder = folder
        self.journalFolder = journalFolder
        self.segmentBytes = segmentBytes
    }

    /// What has expired is judged by the position's time, not by the clock: the database then follows from the journal alone, and no
    /// record goes by a time that a crash may take back. An empty overlay is a sweep alone.
    func run(_ overlay: Overlay, position: Position) -> Outcome {
        let start = linux_monotonic_nanos()
        pace?.begin()
        do {
            // An interrupted sync is no failure: nothing was committed, all of it is written again.
            var code = try foldChecked(overlay, position)
            while code == EINTR { code = try foldChecked(overlay, position) }
            if let code {
                guard FileSystem.isFull(code) || code == MDB_MAP_FULL else {
                    return .failed(.lmdb(operation: "checkpoint", code: code))
                }
                // If it was the meta page that found no room, LMDB takes no more work, and this says so.
                try environment.look(.survey) { _ in }
                return .retry
            }
            stored = position
            try reached(.committed)
            let spares = try Journal.recycle(journalFolder, before: position.segment, segmentBytes: segmentBytes)
            try reached(.recycled)
            let survey = try environment.survey()
            surveyed = survey
            return .done(
                CheckpointReport(
                    freeBytes: FileSystem.freeBytes(at: folder), file: survey, swept: UInt64(sweeper.swept),
                    isBehind: sweeper.isBehind, spares: spares, nanos: linux_monotonic_nanos() - start))
        } catch .io(_, _, let code) where FileSystem.isFull(code) {
            return .retry
        } catch {
            return .failed(error)
        }
    }

    private func reached(_ step: Step) throws(StoreError) {
        if let cutsOff, cutsOff(step) { throw .poisoned }
    }

    /// `nil` = committed; else LMDB's code. What is written over is looked at first, in the snapshot of before all transactions.
    private func foldChecked(_ overlay: Overlay, _ position: Position) throws(StoreError) -> Int32? {
        try environment.look(.checkpoint) { (snapshot) throws(StoreError) in
            let survey: FileSurvey
            if let surveyed, surveyed.transaction == UInt64(mdb_txn_id(snapshot)) {
                survey = surveyed
            } else {
                survey = try environment.survey()
            }
            if let before {
                try before.renew(snapshot, survey)
            } else {
                before = try TreeReader(environment, specs, opener, snapshot, survey)
            }
            return try fold(overlay, position, position.clock.engineMs)
        }
    }

    /// `nil` = committed; else LMDB's code, with the open transaction aborted.
    private func fold(_ overlay: Overlay, _ position: Position, _ now: UInt64) throws(StoreError) -> Int32? {
        let order = overlay.sortedIndices()
        var inserted = [Int](repeating: 0, count: specs.count)
        sweeper.begin(before)
        var next = 0
        while case let end = portion(overlay, order, from: next), end < order.count {
            let keys = order[next..<end]
            let code = try transact(pages: 2 * keys.count) { (transaction) throws(StoreError) in
                try write(overlay, keys, transaction, now, &inserted)
            }
            if let code { return code }
            try reached(.keysCommitted)
            next = end
            pace?.rest(done: next, of: order.count)
        }
        // More than it can write: two pages a key, and what is swept, eight rows a page.
        let pages = 2 * (order.count - next) + sweeper.mostRows(inserted: order.count) / 8
        return try transact(pages: pages) { (transaction) throws(StoreError) in
            if let code = try write(overlay, order[next...], transaction, now, &inserted) { return code }
            try reached(.keysWritten)
            if let code = try sweeper.sweep(inserted: inserted, transaction, now: now) { return code }
            if order.isEmpty, sweeper.swept == 0, position == stored { return 0 }
            if let code = sweeper.putHands(transaction) { return code }
            if let code = put(position, transaction) { return code }
            try reached(.positionWritten)
            return nil
        }
    }

    /// Where the transaction ends that begins at `start`. A key of a random table costs a page, others share theirs.
    private func portion(_ overlay: Overlay, _ order: [Int32], from start: Int) -> Int {
        let isBehind = pace?.isBehind ?? true
        let pages = max(
            isBehind ? pagesPerTransaction.behind : pagesPerTransaction.inPace, order.count / Checkpointer.mostTransactions)
        var left = pages * Checkpointer.keysPerPage
        var end = start
        while end < order.count, left > 0, end - start < keysPerTransaction {
            let table = Int(overlay.entry(Int(order[end])).table)
            left -= specs[table].order == .random ? Checkpointer.keysPerPage : 1
            end += 1
        }
        return end
    }

    /// One transaction: committed when `body` returns `nil`, else aborted; 0 = there is nothing to commit, and all is well. Every one
    /// carries its own id, which the next start compares.
    private func transact(
        pages: Int, _ body: (OpaquePointer) throws(StoreError) -> Int32?
    ) throws(StoreError) -> Int32? {
        try environment.reserve(pages: pages)
        let transaction = try environment.begin(readOnly: false)
        var code: Int32?
        do throws(StoreError) {
            code = try body(transaction)
        } catch {
            closeCursor()
            mdb_txn_abort(transaction)
            throw error
        }
        closeCursor()
        if code == nil, case let failed = environment.putSeal(transaction), failed != 0 { code = failed }
        if let code {
            mdb_txn_abort(transaction)
            return code == 0 ? nil : code
        }
        let result = mdb_txn_commit(transaction)
        return result == 0 ? nil : result
    }

    /// `nil` = all are written.
    private func write(
        _ overlay: Overlay, _ keys: ArraySlice<Int32>, _ transaction: OpaquePointer, _ now: UInt64, _ inserted: inout [Int]
    ) throws(StoreError) -> Int32? {
        for (done, index) in zip(keys.indices, keys) {
            if let code = try write(overlay, Int(index), transaction, now, &inserted) { return code }
            if done % 64 == 63 { written.store(done + 1, ordering: .relaxed) }
        }
        closeCursor()
        return nil
    }

    /// One entry of the overlay: `nil` = done.
    private func write(
        _ overlay: Overlay, _ index: Int, _ transaction: OpaquePointer, _ now: UInt64, _ inserted: inout [Int]
    ) throws(StoreError) -> Int32? {
        let entry = overlay.entry(index)
        let key = overlay.key(entry)
        try before?.check(around: key, table: entry.table)
        if entry.isDeleted || (entry.expiresAt != 0 && entry.expiresAt <= now) {
            let code = LMDBEnvironment.delete(transaction, environment.tables[Int(entry.table)], key)
            return code == 0 ? nil : code
        }
        let value = sealer.seal(
            table: entry.table, key: key, value: overlay.value(entry), epoch: entry.epoch, expiresAt: entry.expiresAt,
            sequence: entry.sequence)
        let cursor = try openCursor(entry.table, transaction)
        let code = LMDBEnvironment.put(cursor, key, value)
        guard code == 0 else { return code }
        inserted[Int(entry.table)] += 1
        return specs[Int(entry.table)].order == .random
            ? try sweeper.sweepNeighbours(entry.table, cursor, now: now) : nil
    }

    private func openCursor(_ table: UInt8, _ transaction: OpaquePointer) throws(StoreError) -> OpaquePointer {
        if let cursor, cursor.table == table { return cursor.handle }
        closeCursor()
        var opened: OpaquePointer?
        try LMDBEnvironment.check(
            mdb_cursor_open(transaction, environment.tables[Int(table)], &opened), "mdb_cursor_open")
        guard let opened else { throw .lmdb(operation: "mdb_cursor_open", code: ENOMEM) }
        cursor = (table, opened)
        return opened
    }

    /// Before its transaction ends.
    private func closeCursor() {
        if let cursor { mdb_cursor_close(cursor.handle) }
        cursor = nil
    }

    private func put(_ position: Position, _ transaction: OpaquePointer) -> Int32? {
        let code = withUnsafeTemporaryAllocation(byteCount: Position.bytes, alignment: 8) { out in
            position.encode(into: out)
            return "position".withMeta {
                LMDBEnvironment.put(transaction, environment.meta, $0, UnsafeRawBufferPointer(out))
            }
        }
        return code == 0 ? nil : code
    }
}

/// What a checkpoint tells the loop.
struct CheckpointReport: Sendable {
    var freeBytes: UInt64
    var file: FileSurvey
    /// Expired rows that went.
    var swept: UInt64
    /// More has expired than one checkpoint sweeps.
    var isBehind: Bool
    /// Journal segments that wait to be used.
    var spares: Int
    var nanos: UInt64
}

extension String {
    /// A key of the `meta` database.
    func withMeta<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        var copy = self
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
