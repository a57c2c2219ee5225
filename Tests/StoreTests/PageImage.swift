import Foundation

@testable import Store

/// LMDB's file seen from outside, byte by byte, to damage it: no code of the store's.
struct PageImage {
    static let pageBytes = 4_096

    /// LMDB's records of its own two databases, in a meta page: free pages, and the named databases.
    private static let freeRecord = 40
    private static let mainRecord = 88

    let url: URL
    let bytes: [UInt8]

    init(_ url: URL) throws {
        self.url = url
        bytes = Array(try Data(contentsOf: url))
    }

    func word(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }

    func number(_ offset: Int) -> Int { (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }

    /// Where a page's nodes begin, in the file.
    func nodes(_ page: Int) -> [Int] {
        let start = page * Self.pageBytes
        return stride(from: start + 16, to: start + word(start + 12), by: 2).map { start + word($0) }
    }

    func isBranch(_ page: Int) -> Bool { word(page * Self.pageBytes + 10) == 1 }

    func child(_ node: Int) -> Int { word(node) | word(node + 2) << 16 | word(node + 4) << 32 }

    func key(_ node: Int) -> ArraySlice<UInt8> { bytes[node + 8..<node + 8 + word(node + 6)] }

    /// The newer of the two meta pages.
    var metaPage: Int { number(144) > number(Self.pageBytes + 144) ? 0 : Self.pageBytes }

    /// Where LMDB's record of a named database is; its root is at 40.
    func record(_ name: String) -> Int? {
        nodes(number(metaPage + Self.mainRecord + 40)).first { key($0).elementsEqual(name.utf8) }.map {
            $0 + 8 + word($0 + 6)
        }
    }

    /// The list of free pages of each transaction that freed some: where it begins, with its length.
    var freeLists: [Int] {
        let root = number(metaPage + Self.freeRecord + 40)
        return nodes(root).filter { word($0 + 4) == 0 }.map { $0 + 16 }
    }

    /// The pages of a tree, parents before children.
    func pages(from root: Int) -> [Int] {
        [root] + (isBranch(root) ? nodes(root).flatMap { pages(from: child($0)) } : [])
    }

    func pages(of name: String) -> [Int] { record(name).map { pages(from: number($0 + 40)) } ?? [] }

    /// Into the file, which the store may have open: it sees it at once.
    func write(_ changes: [(offset: Int, bytes: [UInt8])]) throws {
        let handle = try FileHandle(forWritingTo: url)
        for change in changes {
            try handle.seek(toOffset: UInt64(change.offset))
            try handle.write(contentsOf: Data(change.bytes))
        }
        try handle.close()
    }

    /// What it was, again.
    func restore(_ offset: Int, _ count: Int) throws {
        try write([(offset, Array(bytes[offset..<offset + count]))])
    }

    static func encoded(_ number: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}
