import CLMDB
import Glibc
import LibCrypto
import Synchronization

/// Folds a frozen overlay into LMDB, in key order, and removes what has expired. Runs on its own thread; between jobs nothing of it is
/// touched by anyone.
package final class Checkpointer {
    enum Outcome: Sendable {
        case done(free: UInt64, mapUsed: Int)
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

    /// Keys of one LMDB transaction: bounds how long the writer lock and dirty pages are held.
    var keysPerTransaction = 4_096
    /// For tests: true cuts the checkpoint off at a step, as a kill would.
    var cutsOff: ((Step) -> Bool)?

    private let environment: LMDBEnvironment
    private let specs: [TableSpec]
    private let sealer: TableSealer
    private let opener: TableOpener
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    private let folder: String
    private let journalFolder: String
    private let segmentBytes: Int
    /// Keys of the overlay in hand that are written: the loop admits as many new ones.
    let written = Atomic<Int>(0)
    /// Where each random table's clock hand stands.
    private var hands: [[UInt8]]

    init(
        environment: LMDBEnvironment, specs: [TableSpec], keyring: Keyring, folder: String,
        journalFolder: String, segmentBytes: Int
    ) {
        self.environment = environment
        self.specs = specs
        sealer = TableSealer(keyring.newest)
        opener = TableOpener(keyring)
        self.folder = folder
        self.journalFolder = journalFolder
        self.segmentBytes = segmentBytes
        hands = specs.map { _ in [] }
    }

    deinit { plain.deallocate() }

    /// What has expired is judged by the position's time, not by the clock: the database then follows from the journal alone, and no
    /// record goes by a time that a crash may take back.
    func run(_ overlay: Overlay, position: Position) -> Outcome {
        do {
            // An interrupted sync is no failure: nothing was committed, all of it is written again.
            var code = try fold(overlay, position, position.clock.engineMs)
            while code == EINTR { code = try fold(overlay, position, position.clock.engineMs) }
            if let code {
                guard code == ENOSPC || code == MDB_MAP_FULL else {
                    return .failed(.lmdb(operation: "checkpoint", code: code))
                }
                // If it was the meta page that found no room, LMDB takes no more work, and this says so.
                mdb_txn_abort(try environment.begin(readOnly: true))
                return .retry
            }
            try reached(.committed)
            try Journal.recycle(journalFolder, before: position.segment, segmentBytes: segmentBytes)
            try reached(.recycled)
            return .done(free: FileSystem.freeBytes(at: folder), mapUsed: environment.usedBytes)
        } catch .io(_, _, ENOSPC) {
            return .retry
        } catch {
            return .failed(error)
        }
    }

    private func reached(_ step: Step) throws(StoreError) {
        if let cutsOff, cutsOff(step) { throw .poisoned }
    }

    /// `nil` = committed; else LMDB's code, with the open transaction aborted.
    private func fold(_ overlay: Overlay, _ position: Position, _ now: UInt64) throws(StoreError) -> Int32? {
        let order = overlay.sortedIndices()
        var inserted = [Int](repeating: 0, count: specs.count)
        try environment.reserve(pages: pagesNeeded(order.count))
        var transaction = try environment.begin(readOnly: false)
        for (done, index) in order.enumerated() {
            if done > 0, done % keysPerTransaction == 0 {
                if let code = commit(transaction) { return code }
                try reached(.keysCommitted)
                try environment.reserve(pages: pagesNeeded(order.count - done))
                transaction = try environment.begin(readOnly: false)
            }
            if let code = write(overlay, Int(index), transaction, now, &inserted) { return abort(transaction, code) }
            if done % 64 == 63 { written.store(done + 1, ordering: .relaxed) }
        }
        do throws(StoreError) {
            try reached(.keysWritten)
            for spec in specs {
                if let code = try expire(spec, inserted[Int(spec.id)], transaction, now) { return abort(transaction, code) }
            }
            if let code = put(position, transaction) { return abort(transaction, code) }
            try reached(.positionWritten)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        return commit(transaction)
    }

    /// More than the pages that the next transaction can write: two a key, and what expires.
    private func pagesNeeded(_ keys: Int) -> Int { 2 * min(keys, keysPerTransaction) + 1_024 }

    /// One entry of the overlay: `nil` = done.
    private func write(
        _ overlay: Overlay, _ index: Int, _ transaction: OpaquePointer, _ now: UInt64, _ inserted: inout [Int]
    ) -> Int32? {
        let entry = overlay.entry(index)
        let dbi = environment.tables[Int(entry.table)]
        let code: Int32
        if entry.isDeleted || (entry.expiresAt != 0 && entry.expiresAt <= now) {
            code = LMDBEnvironment.delete(transaction, dbi, overlay.key(entry))
        } else {
            let value = sealer.seal(
                table: entry.table, key: overlay.key(entry), value: overlay.value(entry), epoch: entry.epoch,
                expiresAt: entry.expiresAt, sequence: entry.sequence)
            code = LMDBEnvironment.put(transaction, dbi, overlay.key(entry), value)
            inserted[Int(entry.table)] += 1
        }
        return code == 0 ? nil : code
    }

    private func abort(_ transaction: OpaquePointer, _ code: Int32) -> Int32 {
        mdb_txn_abort(transaction)
        return code
    }

    /// Every transaction carries its own id, which the next start compares.
    private func commit(_ transaction: OpaquePointer) -> Int32? {
        let code = environment.putTransactionID(transaction)
        if code != 0 { return abort(transaction, code) }
        let result = mdb_txn_commit(transaction)
        return result == 0 ? nil : result
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

    // MARK: expiry

    private func expire(
        _ spec: TableSpec, _ inserted: Int, _ transaction: OpaquePointer, _ now: UInt64
    ) throws(StoreError) -> Int32? {
        switch spec.order {
        case .kept: return nil
        case .time: return try sweepHead(spec, max(512, 2 * inserted), transaction, now)
        case .random: return try sweepHand(spec, transaction, now)
        }
    }

    /// Deletes from the head of a time-ordered table while records there are over.
    private func sweepHead(
        _ spec: TableSpec, _ limit: Int, _ transaction: OpaquePointer, _ now: UInt64
    ) throws(StoreError) -> Int32? {
        var cursor: OpaquePointer?
        let opened = mdb_cursor_open(transaction, environment.tables[Int(spec.id)], &cursor)
        guard opened == 0, let cursor else { return opened }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        for _ in 0..<limit {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            if code == MDB_NOTFOUND { return nil }
            if code != 0 { return code }
            guard try isExpired(spec.id, key, value, now) else { return nil }
            let deleted = mdb_cursor_del(cursor, 0)
            if deleted != 0 { return deleted }
        }
        return nil
    }

    /// Looks at a few records of a random-key table, on from where it stopped: all within a day at one checkpoint a second.
    private func sweepHand(
        _ spec: TableSpec, _ transaction: OpaquePointer, _ now: UInt64
    ) throws(StoreError) -> Int32? {
        let table = Int(spec.id)
        let dbi = environment.tables[table]
        var statistics = MDB_stat()
        _ = mdb_stat(transaction, dbi, &statistics)
        let quota = max(64, statistics.ms_entries / 43_200)
        var cursor: OpaquePointer?
        let opened = mdb_cursor_open(transaction, dbi, &cursor)
        guard opened == 0, let cursor else { return opened }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        var code: Int32 = hands[table].withUnsafeMutableBytes { hand in
            key = MDB_val(mv_size: hand.count, mv_data: hand.baseAddress)
            return mdb_cursor_get(cursor, &key, &value, hand.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        }
        for _ in 0..<quota {
            if code == MDB_NOTFOUND {
                hands[table] = []
                return nil
            }
            if code != 0 { return code }
            hands[table] = Array(UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size))
            if try isExpired(spec.id, key, value, now) {
                let deleted = mdb_cursor_del(cursor, 0)
                if deleted != 0 { return deleted }
            }
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        return nil
    }

    /// Of a value that authenticates: what is deleted is never taken from a flipped bit.
    private func isExpired(
        _ table: UInt8, _ key: MDB_val, _ value: MDB_val, _ now: UInt64
    ) throws(StoreError) -> Bool {
        let sealed = UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
        if sealed.count >= Envelope.headerBytes {
            let end = Envelope.expiresAt(sealed)
            if end == 0 || end > now { return false }
        }
        _ = try opener.open(
            table: table, key: UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size), sealed: sealed, into: plain)
        return true
    }
}

extension String {
    /// A key of the `meta` database.
    func withMeta<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        var copy = self
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
