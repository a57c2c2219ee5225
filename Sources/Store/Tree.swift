/// What LMDB's record of a named database says of its tree: 48 bytes in host byte order (padding 4, flags 2,
/// depth 2, branch pages 8, leaf pages 8, overflow pages 8, entries 8, root 8).
struct Tree: Equatable {
    static let recordBytes = 48
    /// LMDB's own bound: its cursors hold so many pages.
    static let maxDepth = 32

    var root: UInt64
    var counts: Counts

    /// What an open transaction knows of its tree before it is committed; the root isn't among it.
    struct Counts: Equatable {
        static let bytes = 26

        var entries: UInt64 = 0
        var leafPages: UInt64 = 0
        var branchPages: UInt64 = 0
        var depth = 0

        func encode(into out: UnsafeMutableRawBufferPointer) {
            out.set(0, entries)
            out.set(8, leafPages)
            out.set(16, branchPages)
            out.set(24, UInt16(depth))
        }
    }

    /// `nil` = no tree of ours has such a record.
    init?(_ record: UnsafeRawBufferPointer) {
        guard record.count == Tree.recordBytes else { return nil }
        func number(_ offset: Int) -> UInt64 { record.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        root = number(40)
        counts = Counts(
            entries: number(32), leafPages: number(16), branchPages: number(8),
            depth: Int(record.loadUnaligned(fromByteOffset: 6, as: UInt16.self)))
        // A root is there exactly if there is an entry, and no value of ours leaves its leaf.
        let isEmpty = root == .max && counts == Counts()
        guard number(24) == 0, isEmpty || (root != .max && (1...Tree.maxDepth).contains(counts.depth)) else {
            return nil
        }
    }
}

extension Tree.Counts {
    init(_ bytes: UnsafeRawBufferPointer) {
        entries = bytes.u64(0)
        leafPages = bytes.u64(8)
        branchPages = bytes.u64(16)
        depth = Int(bytes.u16(24))
    }
}

/// The row `txn` of `meta`, which each transaction of ours writes last: its id, and what all tables' trees
/// are by then. LMDB keeps the same in its own records, without a checksum. `id u64 ‖ number of tables u16 ‖
/// counts, 26 bytes each ‖ CRC-32C of these`.
struct TransactionSeal {
    private static let headBytes = 10

    let id: UInt64
    private let counts: UnsafeRawBufferPointer

    static func bytes(tables: Int) -> Int { headBytes + tables * Tree.Counts.bytes + 4 }

    /// `out` has `bytes(tables:)`.
    static func encode(id: UInt64, _ trees: [Tree.Counts], into out: UnsafeMutableRawBufferPointer) {
        out.set(0, id)
        out.set(8, UInt16(trees.count))
        for (index, tree) in trees.enumerated() {
            tree.encode(into: out.slice(headBytes + index * Tree.Counts.bytes, Tree.Counts.bytes))
        }
        out.set(out.count - 4, CRC32C.update(0, UnsafeRawBufferPointer(out).slice(0, out.count - 4)))
    }

    /// `nil` = it isn't what was written.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= TransactionSeal.bytes(tables: 0), case let end = bytes.count - 4,
            bytes.u32(end) == CRC32C.update(0, bytes.slice(0, end)),
            bytes.count == TransactionSeal.bytes(tables: Int(bytes.u16(8)))
        else { return nil }
        id = bytes.u64(0)
        counts = bytes.slice(TransactionSeal.headBytes, end - TransactionSeal.headBytes)
    }

    /// `nil` = the transaction was an otpd's that didn't know this table.
    func counts(_ table: Int) -> Tree.Counts? {
        let offset = table * Tree.Counts.bytes
        return offset < counts.count ? Tree.Counts(counts.slice(offset, Tree.Counts.bytes)) : nil
    }
}
