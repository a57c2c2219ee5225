import CLMDB
import Glibc
import LibCrypto

/// Takes expired records out of LMDB, inside a checkpoint's transaction; the checkpointer owns it.
///
/// Three ways, so that each table stays in proportion to what lives in it, at any load:
/// - *time*: from the head, at least twice as many rows as came in.
/// - *random*, by time: a clock hand passes the table in half a day, however often checkpoints come, so that it meets every row within
///   a day of its end. Where it stands is stored, so that restarts don't send it back to the beginning.
/// - *random*, by work: beside each row that is written, in a leaf that is dirty anyway, `neighbours` more are looked at. Rows that are
///   written then take out more than they bring as soon as a quarter of the table is over.
final class Sweeper {
    /// Rows of a table at a checkpoint: the least that may go from the head, if twice the inserted ones are fewer, and the most that a
    /// clock hand passes. Bounds what a checkpoint writes after a long pause; an hour of them clears seven million rows, or a fifth of a
    /// table that has more than 33 million: with a checkpoint a second a hand needs four and a half hours for any.
    static func quota(rows: Int) -> Int { max(2_048, rows / 16_384) }
    /// Milliseconds in which a clock hand passes a table.
    static let passMs: UInt64 = 12 * 3_600_000
    static let neighbours = 4

    /// Expired rows that the checkpoint in hand has taken out.
    private(set) var swept = 0
    /// A quota ended the sweep, not the last expired row: more is to be done soon.
    private(set) var isBehind = false

    private let environment: LMDBEnvironment
    private let specs: [TableSpec]
    private let opener: TableOpener
    private var before: TreeReader?
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    private let keyCopy = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Envelope.maxKeyBytes, alignment: 8)
    /// Where each table's clock hand stands; empty = at the first key.
    private var hands: [[UInt8]] = []
    /// The most rows that each table has had since its hand began this pass: rows that go don't slow it down.
    private var passRows: [Int]
    /// Rows that each clock hand should have passed by now and hasn't.
    private var owed: [Int]
    /// By table, which bounds the next sweep.
    private var rowsAtLastSweep: [Int]
    /// Engine milliseconds of the last sweep; 0 = none since the start.
    private var sweptAtMs: UInt64 = 0

    init(environment: LMDBEnvironment, specs: [TableSpec], keyring: Keyring) throws(StoreError) {
        self.environment = environment
        self.specs = specs
        opener = TableOpener(keyring)
        passRows = specs.map { _ in 0 }
        owed = passRows
        rowsAtLastSweep = passRows
        let transaction = try environment.begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        for spec in specs {
            var found: Result<[UInt8], StoreError> = .success([])
            Sweeper.handName(spec).withMeta { name in
                do throws(StoreError) {
                    let key = try LMDBEnvironment.get(transaction, environment.meta, name)
                    found = .success(key.map { Array($0.prefix(Envelope.maxKeyBytes)) } ?? [])
                } catch { found = .failure(error) }
            }
            hands.append(try found.get())
        }
    }

    deinit {
        plain.deallocate()
        keyCopy.deallocate()
    }

    private static func handName(_ spec: TableSpec) -> String { "hand \(spec.id)" }

    /// - Parameter before: the database of before the transaction.
    func begin(_ before: TreeReader?) {
        self.before = before
        swept = 0
        isBehind = false
    }

    /// More rows than `sweep` takes out.
    func mostRows(inserted: Int) -> Int { 2 * inserted + rowsAtLastSweep.reduce(0) { $0 + Sweeper.quota(rows: $1) } }

    /// All tables; `inserted` by table id. `nil` = done, else LMDB's code.
    func sweep(inserted: [Int], _ transaction: OpaquePointer, now: UInt64) throws(StoreError) -> Int32? {
        let passed = sweptAtMs == 0 ? 0 : now - min(now, sweptAtMs)
        sweptAtMs = now
        for spec in specs {
            var cursor: OpaquePointer?
            let opened = mdb_cursor_open(transaction, environment.tables[Int(spec.id)], &cursor)
            guard opened == 0, let cursor else { return opened }
            defer { mdb_cursor_close(cursor) }
            let rows = rowsAtLastSweep[Int(spec.id)]
            rowsAtLastSweep[Int(spec.id)] = self.rows(spec, cursor)
            let code: Int32?
            switch spec.order {
            case .time:
                code = try sweepHead(spec, max(Sweeper.quota(rows: rows), 2 * inserted[Int(spec.id)]), cursor, now)
            case .random: code = try sweepHand(spec, Sweeper.quota(rows: rows), passed, cursor, now)
            }
            if let code { return code }
        }
        return nil
    }

    /// Deletes from the head of a time-ordered table while records there are over, or more than the table may hold.
    private func sweepHead(
        _ spec: TableSpec, _ limit: Int, _ cursor: OpaquePointer, _ now: UInt64
    ) throws(StoreError) -> Int32? {
        let excess = max(0, rows(spec, cursor) - spec.maxRows)
        var (key, value) = (MDB_val(), MDB_val())
        for step in 0..<limit {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            if code == MDB_NOTFOUND { return nil }
            if code != 0 { return code }
            if step >= excess, try !isExpired(spec.id, key, value, now) { return nil }
            if let code = delete(cursor) { return code }
        }
        isBehind = true
        return nil
    }

    /// The clock hand goes on from where it stopped.
    private func sweepHand(
        _ spec: TableSpec, _ most: Int, _ passed: UInt64, _ cursor: OpaquePointer, _ now: UInt64
    ) throws(StoreError) -> Int32? {
        let table = Int(spec.id)
        passRows[table] = max(passRows[table], rows(spec, cursor))
        let due = passRows[table] * Int(min(passed, Sweeper.passMs)) / Int(Sweeper.passMs)
        owed[table] = min(passRows[table], owed[table] + due)
        let quota = min(max(64, owed[table]), most)
        owed[table] = max(0, owed[table] - quota)
        if owed[table] > 0 { isBehind = true }
        var (key, value) = (MDB_val(), MDB_val())
        var code: Int32 = hands[table].withUnsafeMutableBytes { hand in
            key = MDB_val(mv_size: hand.count, mv_data: hand.baseAddress)
            return mdb_cursor_get(cursor, &key, &value, hand.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        }
        for _ in 0..<quota {
            if code != 0 { break }
            code = try step(spec.id, cursor, &key, &value, now)
        }
        guard code == 0 || code == MDB_NOTFOUND else { return code }
        hands[table] = code == 0 ? Array(UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)) : []
        if code == MDB_NOTFOUND { (passRows[table], owed[table]) = (0, 0) }
        return nil
    }

    /// The rows after the one that `cursor` has just written.
    func sweepNeighbours(_ table: UInt8, _ cursor: OpaquePointer, now: UInt64) throws(StoreError) -> Int32? {
        var (key, value) = (MDB_val(), MDB_val())
        var code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        for _ in 0..<Sweeper.neighbours where code == 0 { code = try step(table, cursor, &key, &value, now) }
        return code == 0 || code == MDB_NOTFOUND ? nil : code
    }

    /// Deletes the row at the cursor if it is over, and goes on to the next.
    private func step(
        _ table: UInt8, _ cursor: OpaquePointer, _ key: inout MDB_val, _ value: inout MDB_val, _ now: UInt64
    ) throws(StoreError) -> Int32 {
        guard try isExpired(table, key, value, now) else {
            return mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        // A delete may merge leaves, and the cursor then skip rows: it seeks the place again.
        let place = keyCopy.slice(0, key.mv_size)
        place.copyMemory(from: UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size))
        if let code = delete(cursor) { return code }
        key = MDB_val(mv_size: place.count, mv_data: place.baseAddress)
        return mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
    }

    /// Where the hands stand goes with whatever else the transaction holds.
    func putHands(_ transaction: OpaquePointer) -> Int32? {
        for spec in specs where spec.order == .random {
            let code = Sweeper.handName(spec).withMeta { name in
                hands[Int(spec.id)].withUnsafeBytes {
                    LMDBEnvironment.put(transaction, environment.meta, name, $0)
                }
            }
            if code != 0 { return code }
        }
        return nil
    }

    private func rows(_ spec: TableSpec, _ cursor: OpaquePointer) -> Int {
        var statistics = MDB_stat()
        let code = mdb_stat(mdb_cursor_txn(cursor), environment.tables[Int(spec.id)], &statistics)
        return code == 0 ? statistics.ms_entries : 0
    }

    private func delete(_ cursor: OpaquePointer) -> Int32? {
        swept += 1
        let code = mdb_cursor_del(cursor, 0)
        return code == 0 ? nil : code
    }

    /// Of a value that authenticates: what is deleted is never taken from a flipped bit.
    private func isExpired(_ table: UInt8, _ key: MDB_val, _ value: MDB_val, _ now: UInt64) throws(StoreError)
        -> Bool
    {
        let sealed = UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
        if sealed.count >= Envelope.checkOffset {
            let end = Envelope.expiresAt(sealed)
            if end == 0 || end > now { return false }
        }
        let key = UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)
        _ = try opener.open(table: table, key: key, sealed: sealed, into: plain)
        try before?.check(around: key, table: table)
        return true
    }
}
