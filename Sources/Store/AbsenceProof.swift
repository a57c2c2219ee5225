import CLMDB

/// Finds a row, or proves that it isn't there, because LMDB 0.9 has no checksums: a flipped bit in a key, or in the list of a leaf's records,
/// would make a record vanish, and a limit that has vanished is a limit forgotten. A value that is found authenticates itself together with
/// its key; for one that isn't, the records before and after its place must be there, be what was written, and enclose it.
///
/// That they are what was written, the check in their envelopes tells: a CRC finds accidents. Who can write to the file could take a record
/// out of its leaf and leave both neighbours authentic, so opening them would tell no more, at ten times the cost.
///
/// Found so: flips in keys of leaves and branches, in the count and the order of a leaf's records. Not found: a page number that leads to
/// another valid leaf, or to an older version of one (SCHEMA §9).
final class AbsenceProof {
    private let environment: LMDBEnvironment
    private let opener: TableOpener
    /// One per table, bound to the read transaction; LMDB wants them renewed when it is.
    private var cursors: [OpaquePointer?]
    private var snapshots: [Int]
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 8)

    init(_ environment: LMDBEnvironment, _ opener: TableOpener) {
        self.environment = environment
        self.opener = opener
        cursors = Array(repeating: nil, count: environment.tables.count)
        snapshots = Array(repeating: -1, count: environment.tables.count)
    }

    deinit { plain.deallocate() }

    /// Before the read transaction ends for good.
    func close() {
        for index in cursors.indices {
            if let cursor = cursors[index] { mdb_cursor_close(cursor) }
            cursors[index] = nil
        }
    }

    /// Lends LMDB's own memory, valid until the transaction is reset; `nil` = no record. Throws when there may have been one. `snapshot`
    /// changes whenever `transaction` was renewed.
    func find(
        table: UInt8, key: UnsafeRawBufferPointer, transaction: OpaquePointer, snapshot: Int
    ) throws(StoreError) -> UnsafeRawBufferPointer? {
        let cursor = try cursor(Int(table), transaction, snapshot)
        var k = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var v = MDB_val()
        var page: UInt?
        var code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE)
        if code == 0 {
            if isEqual(UnsafeRawBufferPointer(start: k.mv_data, count: k.mv_size), key) {
                return UnsafeRawBufferPointer(start: v.mv_data, count: v.mv_size)
            }
            try checkNeighbour(table, k, v, &page, isBeyond: key)
            code = mdb_cursor_get(cursor, &k, &v, MDB_PREV)
        } else if code == MDB_NOTFOUND {
            code = mdb_cursor_get(cursor, &k, &v, MDB_LAST)
        }
        if code == MDB_NOTFOUND { return nil }
        guard code == 0 else { throw .lmdb(operation: "mdb_cursor_get", code: code) }
        try checkNeighbour(table, k, v, &page, isBefore: key)
        return nil
    }

    private func cursor(_ table: Int, _ transaction: OpaquePointer, _ snapshot: Int) throws(StoreError) -> OpaquePointer {
        if let cursor = cursors[table] {
            if snapshots[table] != snapshot {
                try LMDBEnvironment.check(mdb_cursor_renew(transaction, cursor), "mdb_cursor_renew")
                snapshots[table] = snapshot
            }
            return cursor
        }
        var cursor: OpaquePointer?
        try LMDBEnvironment.check(mdb_cursor_open(transaction, environment.tables[table], &cursor), "mdb_cursor_open")
        guard let cursor else { throw .lmdb(operation: "mdb_cursor_open", code: MDB_NOTFOUND) }
        cursors[table] = cursor
        snapshots[table] = snapshot
        return cursor
    }

    /// - Parameter page: the leaf that was looked at last, and was whole; most neighbours share it.
    private func checkNeighbour(
        _ table: UInt8, _ k: MDB_val, _ v: MDB_val, _ page: inout UInt?, isBeyond lower: UnsafeRawBufferPointer? = nil,
        isBefore upper: UnsafeRawBufferPointer? = nil
    ) throws(StoreError) {
        let key = UnsafeRawBufferPointer(start: k.mv_data, count: k.mv_size)
        let value = UnsafeRawBufferPointer(start: v.mv_data, count: v.mv_size)
        let isOutside = (lower.map { isLess($0, key) } ?? true) && (upper.map { isLess(key, $0) } ?? true)
        let address = LeafPage.address(of: key)
        guard isOutside, page == address || LeafPage(of: key)?.isWhole ?? false else {
            throw .damaged(path: "lmdb table \(table)", detail: "the records around a missing one are out of order or incomplete")
        }
        page = address
        try opener.check(table: table, key: key, sealed: value, into: plain)
    }
}

/// A leaf of LMDB 0.9, looked at from one of its keys: page header (number 8, padding 2, flags 2, lower 2, upper 2), offsets of records from
/// byte 16 to `lower`, records from `upper` to the end. Host byte order.
private struct LeafPage {
    private static let bytes = 4_096
    private static let headBytes = 16
    private static let recordHeadBytes = 8
    private let page: UnsafeRawBufferPointer

    static func address(of key: UnsafeRawBufferPointer) -> UInt { UInt(bitPattern: key.baseAddress) & ~UInt(bytes - 1) }

    init?(of key: UnsafeRawBufferPointer) {
        guard let start = key.baseAddress else { return nil }
        let offset = Int(bitPattern: start) & (LeafPage.bytes - 1)
        page = UnsafeRawBufferPointer(start: start - offset, count: LeafPage.bytes)
    }

    /// The records that the list names fill the page's end without a gap: none was dropped from the list.
    var isWhole: Bool {
        let (lower, upper) = (number(12), number(14))
        guard lower >= LeafPage.headBytes, lower <= upper, upper <= LeafPage.bytes, lower % 2 == 0 else { return false }
        var filled = 0
        for place in stride(from: LeafPage.headBytes, to: lower, by: 2) {
            let record = number(place)
            guard record >= upper, record + LeafPage.recordHeadBytes <= LeafPage.bytes else { return false }
            let size = LeafPage.recordHeadBytes + number(record + 6) + number(record) + number(record + 2) << 16
            filled += size + size & 1
        }
        return filled == LeafPage.bytes - upper
    }

    private func number(_ offset: Int) -> Int { Int(page.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
}
