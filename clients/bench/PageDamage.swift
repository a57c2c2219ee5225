import CLinuxShim
import Glibc

/// A piece of damage to LMDB's trees, where it could hide records: in a branch, a leaf's list, a table's
/// record of its root, or the list of free pages; or a whole page at another's place. The file is read byte
/// by byte, without LMDB.
struct PageDamage: FolderDamage {
    fileprivate enum Kind: CaseIterable {
        case branchHeader, branchList, branchNode, branchKey, leafHeader, leafList, leafNode, record,
            emptyTree
        case pageOverPage, pageOverPageRenumbered, anotherChild, olderChild, olderRoot, freeList, metaPage

        var isOfBranch: Bool {
            switch self {
            case .branchHeader, .branchList, .branchNode, .branchKey, .anotherChild, .olderChild: true
            case .leafHeader, .leafList, .leafNode, .record, .emptyTree, .pageOverPage,
                .pageOverPageRenumbered, .olderRoot,
                .freeList, .metaPage:
                false
            }
        }
    }

    private let path: String
    private let kind: Kind
    private let offset: Int
    private let bytes: [UInt8]

    var description: String {
        let (page, byte) = offset.quotientAndRemainder(dividingBy: LMDBImage.pageBytes)
        return "\(kind) at byte \(byte) of page \(page), \(bytes.count) bytes from \(bytes[0])"
    }

    /// A kind that this file has a place for.
    static func pick(_ folder: String, _ generator: inout SeededGenerator) throws -> PageDamage {
        let image = try LMDBImage(folder + "/lmdb/data.mdb")
        while true {
            let kind = Kind.allCases[Int(generator.next() % UInt64(Kind.allCases.count))]
            guard let (offset, bytes) = change(kind, image, &generator) else { continue }
            return PageDamage(path: image.path, kind: kind, offset: offset, bytes: bytes)
        }
    }

    func apply() throws {
        let fd = linux_open(path, O_RDWR, 0)
        guard fd >= 0 else { throw BenchError("\(path): \(String(cString: strerror(-fd)))") }
        defer { close(fd) }
        guard pwrite(fd, bytes, bytes.count, off_t(offset)) == bytes.count else {
            throw BenchError("\(path) can't be written at \(offset)")
        }
    }

    private static func any<T>(_ items: [T], _ generator: inout SeededGenerator) -> T? {
        items.isEmpty ? nil : items[Int(generator.next() % UInt64(items.count))]
    }

    /// What is written where; `nil` = the file has no such place.
    private static func change(
        _ kind: Kind, _ image: LMDBImage, _ generator: inout SeededGenerator
    ) -> (Int, [UInt8])? {
        func flip(_ places: Range<Int>, _ generator: inout SeededGenerator) -> (Int, [UInt8])? {
            guard let place = any(Array(places), &generator) else { return nil }
            let bit = UInt8(1) << UInt8(generator.next() % 8)
            return (place, [image.bytes[place] ^ bit])
        }
        guard let table = any(image.tables, &generator) else { return nil }
        let pages = image.pages(from: table.root)
        let branches = pages.filter(image.isBranch)
        let leaves = pages.filter { !image.isBranch($0) }
        let damaged: Int? = any(kind.isOfBranch ? branches : leaves, &generator)
        let start = (damaged ?? 0) * LMDBImage.pageBytes
        let nodes = start == 0 ? [] : image.nodes(start / LMDBImage.pageBytes)
        let node = any(nodes, &generator)
        switch kind {
        case .branchHeader, .leafHeader: return start == 0 ? nil : flip(start..<start + 16, &generator)
        case .branchList, .leafList: return flip(start + 16..<start + 16 + 2 * nodes.count, &generator)
        case .branchNode, .leafNode: return node.flatMap { node in flip(node..<node + 8, &generator) }
        case .branchKey:
            return node.flatMap { node in flip(node + 8..<node + 8 + image.word(node + 6), &generator) }
        case .record: return flip(table.record..<table.record + 48, &generator)
        case .emptyTree: return (table.record + 40, [UInt8](repeating: 0xFF, count: 8))
        case .pageOverPage, .pageOverPageRenumbered:
            guard let from = any(pages, &generator), let to = any(pages, &generator), from != to else {
                return nil
            }
            var page = image.page(from)
            if kind == .pageOverPageRenumbered { page.replaceSubrange(0..<8, with: LMDBImage.encoded(to)) }
            return (to * LMDBImage.pageBytes, page)
        case .anotherChild, .olderChild:
            let others = kind == .anotherChild ? leaves : image.freePages.filter { image.hasKind($0, 2) }
            guard let node, let other = any(others, &generator) else { return nil }
            return (node, Array(LMDBImage.encoded(other).prefix(6)))
        case .olderRoot:
            let kind = image.isBranch(table.root) ? 1 : 2
            return any(image.freePages.filter { image.hasKind($0, kind) }, &generator).map {
                (table.record + 40, LMDBImage.encoded($0))
            }
        case .freeList:
            guard let entry = any(image.freeEntries, &generator), let live = any(pages, &generator) else {
                return nil
            }
            return generator.next() % 2 == 0
                ? (entry, LMDBImage.encoded(live)) : flip(entry..<entry + 8, &generator)
        case .metaPage: return flip(image.metaPage + 16..<image.metaPage + 152, &generator)
        }
    }
}

/// LMDB 0.9's file, seen from outside.
struct LMDBImage {
    static let pageBytes = 4_096

    let path: String
    let bytes: [UInt8]
    /// Of tables that hold something: where LMDB's record is, and the root that it names.
    private(set) var tables: [(record: Int, root: Int)] = []
    /// Where each entry of the lists of free pages is.
    private(set) var freeEntries: [Int] = []

    init(_ path: String) throws {
        self.path = path
        guard let file = fopen(path, "r") else {
            throw BenchError("\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { all += chunk[..<count] }
        bytes = all
        for node in nodes(number(metaPage + 128)) {
            let record = node + 8 + word(node + 6)
            let name = bytes[node + 8..<record]
            guard !name.elementsEqual("meta".utf8),
                bytes[record + 40..<record + 48] != [UInt8](repeating: 0xFF, count: 8)[...]
            else { continue }
            tables.append((record, number(record + 40)))
        }
        for leaf in freeRoots.flatMap(pages(from:)) where !isBranch(leaf) {
            for node in nodes(leaf) {
                let value = node + 8 + word(node + 6)
                // A long list has pages of its own.
                let list = word(node + 4) & 1 == 0 ? value : number(value) * Self.pageBytes + 16
                freeEntries += (0..<number(list)).map { list + 8 + 8 * $0 }
            }
        }
    }

    /// Where the newer of the two meta pages begins.
    var metaPage: Int { number(144) > number(Self.pageBytes + 144) ? 0 : Self.pageBytes }

    private var freeRoots: [Int] {
        let root = metaPage + 80
        return bytes[root..<root + 8].allSatisfy { $0 == 0xFF } ? [] : [number(root)]
    }

    var freePages: [Int] { freeEntries.map(number) }

    func word(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }

    func number(_ offset: Int) -> Int { (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }

    func page(_ page: Int) -> [UInt8] { Array(bytes[page * Self.pageBytes..<(page + 1) * Self.pageBytes]) }

    /// The flags of a page that the file reaches to: 1 = branch, 2 = leaf.
    func hasKind(_ page: Int, _ kind: Int) -> Bool {
        (page + 1) * Self.pageBytes <= bytes.count && word(page * Self.pageBytes + 10) == kind
    }

    func isBranch(_ page: Int) -> Bool { hasKind(page, 1) }

    /// Where a page's nodes begin, in the file.
    func nodes(_ page: Int) -> [Int] {
        let start = page * Self.pageBytes
        return stride(from: start + 16, to: start + word(start + 12), by: 2).map { start + word($0) }
    }

    /// A tree, parents before children.
    func pages(from root: Int) -> [Int] {
        let children =
            isBranch(root) ? nodes(root).map { word($0) | word($0 + 2) << 16 | word($0 + 4) << 32 } : []
        return [root] + children.flatMap(pages(from:))
    }

    static func encoded(_ number: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}
