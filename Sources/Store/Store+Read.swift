import CLMDB
import LibCrypto

extension Store {
    /// Copies the newest live value into `buffer`: open batch and overlay, frozen overlay, LMDB. No allocation.
    /// A value that can't be read is a storage doubt: the caller ends the process (P6).
    public func read(
        table: UInt8, key: UnsafeRawBufferPointer, now: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreError) -> ReadResult {
        if let found = fastActive._withUnsafeGuaranteedRef({ read($0, table, key, now, buffer) }) { return found }
        if let found = fastFrozen?._withUnsafeGuaranteedRef({ read($0, table, key, now, buffer) }) { return found }
        guard let sealed = try trees.find(table: table, key: key) else { return .absent }
        // Authentic first, expired second: a flipped bit in the clear header must not make a record vanish.
        let count = try opener.open(table: table, key: key, sealed: sealed, into: buffer)
        let end = Envelope.expiresAt(sealed)
        if end != 0, end <= now { return .absent }
        return ReadResult(length: count, sequence: 0, epoch: Envelope.epoch(sealed), expiresAt: end)
    }

    private func read(
        _ overlay: Overlay, _ table: UInt8, _ key: UnsafeRawBufferPointer, _ now: UInt64,
        _ buffer: UnsafeMutableRawBufferPointer
    ) -> ReadResult? {
        let index = overlay.find(table, key)
        guard index >= 0 else { return nil }
        let entry = overlay.entry(index)
        if entry.isDeleted || (entry.expiresAt != 0 && entry.expiresAt <= now) {
            return ReadResult(length: -1, sequence: entry.sequence, epoch: entry.epoch, expiresAt: 0)
        }
        let value = overlay.value(entry)
        buffer.copyMemory(from: value)
        return ReadResult(
            length: value.count, sequence: entry.sequence, epoch: entry.epoch, expiresAt: entry.expiresAt)
    }

    /// What a scan reads: everything merged, what is not folded in yet, or what LMDB has, stale rows among it.
    public enum Layers: Sendable { case all, changed, stored }

    /// Live records of a table in key order from `start` on; `body` returns false to stop.
    /// For pages of events and the due messages at start; it may allocate.
    public func scan(
        table: UInt8, from start: [UInt8], now: UInt64, layers: Layers = .all,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ sequence: UInt64) -> Bool
    ) throws(StoreError) {
        let recent =
            layers == .stored
            ? nil : ChangedRecords(table, isRising: options.tables[Int(table)].isRising, from: start, active: active, frozen: frozen)
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(
            mdb_cursor_open(readTransaction, environment.tables[Int(table)], &cursor), "mdb_cursor_open")
        guard let cursor else { return }
        defer { mdb_cursor_close(cursor) }
        let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { plain.deallocate() }
        var (key, value) = (MDB_val(), MDB_val())
        var first = start
        var code: Int32 = first.withUnsafeMutableBytes { bytes in
            key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            if layers == .changed { return MDB_NOTFOUND }
            return mdb_cursor_get(cursor, &key, &value, bytes.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        }
        var next = 0
        while code == 0 || next < recent?.count ?? 0 {
            let stored = UnsafeRawBufferPointer(start: key.mv_data, count: code == 0 ? key.mv_size : 0)
            if let recent, next < recent.count, code != 0 || !isLess(stored, recent.key(next)) {
                let (overlay, entry) = recent[next]
                let recentKey = overlay.key(entry)
                next += 1
                if code == 0, stored.elementsEqual(recentKey) { code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT) }
                if entry.isDeleted || (entry.expiresAt != 0 && entry.expiresAt <= now) { continue }
                if !body(recentKey, overlay.value(entry), entry.sequence) { return }
                continue
            }
            let sealed = UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            let count = try opener.open(table: table, key: stored, sealed: sealed, into: plain)
            let end = Envelope.expiresAt(sealed)
            if end == 0 || end > now {
                if !body(stored, UnsafeRawBufferPointer(plain).slice(0, count), 0) { return }
            }
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if code != 0, code != MDB_NOTFOUND { throw .lmdb(operation: "mdb_cursor_get", code: code) }
    }
}
