import Glibc

/// Goes down the branches of all trees of an LMDB file that nobody has open, without LMDB, which would follow a
/// page number out of the file and die: every page that they lead to lies in the file. Leaves aren't read, so
/// it costs a fiftieth of the file.
struct BranchWalk: ~Copyable {
    /// A database's record: depth and root, in the meta page or as a value of LMDB's main database.
    private struct Record {
        let depth: Int
        let root: UInt64

        init(_ raw: UnsafeRawBufferPointer, at offset: Int) {
            depth = Int(raw.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self))
            root = raw.loadUnaligned(fromByteOffset: offset + 40, as: UInt64.self)
        }
    }

    /// A flag of a node.
    private static let isSubDatabase = 2

    private let file: FileDescriptor
    private let pages: UInt64

    /// Throws *damaged* if the file was cut, or a branch leads out of it.
    static func check(_ path: String) throws(StoreError) {
        let walk = try BranchWalk(path)
        try walk.run()
    }

    private init(_ path: String) throws(StoreError) {
        let file = try FileDescriptor(path, O_RDONLY)
        let size = try file.size
        guard size % TreePage.bytes == 0, size >= 2 * TreePage.bytes else {
            throw .damaged(path: path, detail: "it has \(size) bytes, and isn't whole pages: it was cut")
        }
        self.file = file
        pages = UInt64(size / TreePage.bytes)
    }

    private func run() throws(StoreError) {
        let page = UnsafeMutableRawBufferPointer.allocate(
            byteCount: TreePage.bytes * Tree.maxDepth, alignment: TreePage.bytes)
        defer { page.deallocate() }
        var heads: [UInt8] = []
        for number: UInt64 in 0..<2 { heads += try read(number, into: page, level: 0) }
        let transactions = LMDBMeta.transactions(heads)
        let head = transactions[0] > transactions[1] ? 0 : LMDBMeta.pageBytes
        let (free, main) = heads.withUnsafeBytes {
            (Record($0, at: head + LMDBMeta.freeRecord), Record($0, at: head + LMDBMeta.mainRecord))
        }
        try walk(free, page)
        var tables: [Record] = []
        try walk(main, page) { leaf in tables += BranchWalk.records(in: leaf) }
        for table in tables { try walk(table, page) }
    }

    /// The records of named databases that a leaf of the main one holds.
    private static func records(in leaf: UnsafeRawBufferPointer) -> [Record] {
        guard let start = leaf.baseAddress else { return [] }
        func word(_ offset: Int) -> Int { Int(leaf.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
        return (0..<TreePage(start: start).count).compactMap { index in
            let node = word(TreePage.headBytes + 2 * index)
            guard node + TreePage.nodeHeadBytes <= leaf.count, word(node + 4) & isSubDatabase != 0 else { return nil }
            let value = node + TreePage.nodeHeadBytes + word(node + 6)
            return value + Tree.recordBytes <= leaf.count ? Record(leaf, at: value) : nil
        }
    }

    private func walk(
        _ record: Record, _ buffer: UnsafeMutableRawBufferPointer,
        onLeaf: ((UnsafeRawBufferPointer) -> Void)? = nil
    ) throws(StoreError) {
        guard record.root != .max else { return }
        guard (1...Tree.maxDepth).contains(record.depth) else {
            throw .damaged(path: file.path, detail: "a tree of \(record.depth) levels")
        }
        try visit(record.root, level: record.depth, buffer, onLeaf)
    }

    /// A page of level 1, a leaf, is read only if somebody asks for it.
    private func visit(
        _ number: UInt64, level: Int, _ buffer: UnsafeMutableRawBufferPointer,
        _ onLeaf: ((UnsafeRawBufferPointer) -> Void)?
    ) throws(StoreError) {
        guard number >= 2, number < pages else {
            throw .damaged(
                path: file.path, detail: "a tree leads to page \(number), and the file has \(pages): it was cut, or changed")
        }
        guard level > 1 || onLeaf != nil else { return }
        let page = try read(number, into: buffer, level: level - 1)
        guard let start = page.baseAddress, case let tree = TreePage(start: start),
            tree.isHeaded(number, level > 1 ? .branch : .leaf)
        else { throw .damaged(path: file.path, detail: "page \(number) isn't the one whose place it has") }
        guard level > 1 else {
            onLeaf?(page)
            return
        }
        for index in 0..<tree.count {
            let node = Int(page.loadUnaligned(fromByteOffset: TreePage.headBytes + 2 * index, as: UInt16.self))
            guard node + TreePage.nodeHeadBytes <= TreePage.bytes else {
                throw .damaged(path: file.path, detail: "page \(number) lists a node outside of it")
            }
            try visit(tree.child(index), level: level - 1, buffer, onLeaf)
        }
    }

    @discardableResult
    private func read(
        _ number: UInt64, into buffer: UnsafeMutableRawBufferPointer, level: Int
    ) throws(StoreError) -> UnsafeRawBufferPointer {
        let place = buffer.slice(level * TreePage.bytes, TreePage.bytes)
        guard try file.read(into: place, at: Int(number) * TreePage.bytes) == TreePage.bytes else {
            throw .damaged(path: file.path, detail: "it ends within page \(number)")
        }
        return UnsafeRawBufferPointer(place)
    }
}
