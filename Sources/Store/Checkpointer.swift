import CLMDB
import Glibc
import LibCrypto
import Synchronization

/// Folds a frozen overlay into LMDB, in key order, and removes what has expired. Runs on its own thread; between jobs nothing of it is
/// touched by anyone.
final class Checkpointer {
    enum Outcome: Sendable {
        case done(free: UInt64, mapUsed: Int)
        /// The disk or the map is full and nothing was lost: try again later.
        case retry
        case failed(StoreError)
    }

    /// Keys of one LMDB transaction: bounds how long the writer lock and dirty pages are held.
    private static let keysPerTransaction = 4_096

    private let environment: LMDBEnvironment
    private let specs: [TableSpec]
    private let sealer: TableSealer
    private let folder: String
    private let journalFolder: String
    private let segmentBytes: Int
    /// Keys of the overlay in hand that are written: the loop admits as many new ones.
    let written = Atomic<Int>(0)
    /// Where each random table's clock hand stands.
    private var hands: [[UInt8]]

    init(
        environment: LMDBEnvironment, specs: [TableSpec], key: DataKey, folder: String, journalFolder: String,
        segmentBytes: Int
    ) {
        self.environment = environment
        self.specs = specs
        sealer = TableSealer(key)
        self.folder = folder
        self.journalFolder = journalFolder
        self.segmentBytes = segmentBytes
        hands = specs.map { _ in [] }
    }

    func run(_ overlay: Overlay, position: Position, now: UInt64) -> Outcome {
        do {
            if let code = try fold(overlay, position, now) {
                return code == ENOSPC || code == MDB_MAP_FULL
                    ? .retry : .failed(.lmdb(operation: "checkpoint", code: code))
            }
            try Journal.recycle(journalFolder, before: position.segment, segmentBytes: segmentBytes)
            return .done(free: FileSystem.freeBytes(at: folder), mapUsed: environment.usedBytes)
        } catch .io(_, _, ENOSPC) {
            return .retry
        } catch {
            return .failed(error)
        }
    }

    /// `nil` = committed; else LMDB's code, with the open transaction aborted.
    private func fold(_ overlay: Overlay, _ position: Position, _ now: UInt64) throws(StoreError) -> Int32? {
        let order = overlay.sortedIndices()
        var inserted = [Int](repeating: 0, count: specs.count)
        var total = 0
        var transaction = try environment.begin(readOnly: false)
        var keys = 0
        for index in order {
            if keys == Checkpointer.keysPerTransaction {
                if let code = commit(transaction) { return code }
                transaction = try environment.begin(readOnly: false)
                keys = 0
            }
            let entry = overlay.entry(Int(index))
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
            if code != 0 { return abort(transaction, code) }
            keys += 1
            total += 1
            if total % 64 == 0 { written.store(total, ordering: .relaxed) }
        }
        for spec in specs {
            if let code = expire(spec, inserted[Int(spec.id)], transaction, now) { return abort(transaction, code) }
        }
        if let code = put(position, transaction) { return abort(transaction, code) }
        return commit(transaction)
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

    private func expire(_ spec: TableSpec, _ inserted: Int, _ transaction: OpaquePointer, _ now: UInt64) -> Int32? {
        switch spec.order {
        case .kept: return nil
        case .time: return sweepHead(spec, max(512, 2 * inserted), transaction, now)
        case .random: return sweepHand(spec, transaction, now)
        }
    }

    /// Deletes from the head of a time-ordered table while records there are over.
    private func sweepHead(_ spec: TableSpec, _ limit: Int, _ transaction: OpaquePointer, _ now: UInt64) -> Int32? {
        var cursor: OpaquePointer?
        let opened = mdb_cursor_open(transaction, environment.tables[Int(spec.id)], &cursor)
        guard opened == 0, let cursor else { return opened }
        defer { mdb_cursor_close(cursor) }
        var (key, value) = (MDB_val(), MDB_val())
        for _ in 0..<limit {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            if code == MDB_NOTFOUND { return nil }
            if code != 0 { return code }
            guard isExpired(value, now) else { return nil }
            let deleted = mdb_cursor_del(cursor, 0)
            if deleted != 0 { return deleted }
        }
        return nil
    }

    /// Looks at a few records of a random-key table, on from where it stopped: all within a day at one checkpoint a second.
    private func sweepHand(_ spec: TableSpec, _ transaction: OpaquePointer, _ now: UInt64) -> Int32? {
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
            if isExpired(value, now) {
                let deleted = mdb_cursor_del(cursor, 0)
                if deleted != 0 { return deleted }
            }
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        return nil
    }

    private func isExpired(_ value: MDB_val, _ now: UInt64) -> Bool {
        guard value.mv_size >= Envelope.headerBytes else { return false }
        let end = Envelope.expiresAt(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
        return end != 0 && end <= now
    }
}

extension String {
    /// A key of the `meta` database.
    func withMeta<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        var copy = self
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
