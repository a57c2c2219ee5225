import CLMDB
import Foundation
import Testing

@testable import Store

/// Pages of LMDB's trees that lie: each record is found with its value, or the read throws. Damage is done to
/// the open store's file, which its map shows at once; a new reader has checked nothing yet.
@Suite struct TreeDamageTests {
    private static let table: UInt8 = 1
    private static let name = "scattered"

    /// How many records, and how long: trees of one, two and three levels.
    enum Size: Int, CaseIterable {
        case one = 12
        case two = 120
        case three = 420

        var valueBytes: Int { self == .three ? 1_890 : 40 }
        var branches: Int { self == .one ? 0 : self == .two ? 1 : 3 }
    }

    private final class Folder {
        let test: TestStore
        let keys: [[UInt8]]
        let values: [[UInt8]]

        init(_ size: Size) throws {
            test = try TestStore(segmentBytes: 1 << 20)
            keys = (0..<size.rawValue).map { TestStore.key($0 * 2, TreeDamageTests.table) }
            // In two runs, so that leaves split.
            for part in [0, 1] {
                for (index, key) in keys.enumerated() where index % 2 == part {
                    try test.put(
                        TreeDamageTests.table, key,
                        [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size.valueBytes))
                    if index % 100 > 97 {
                        try test.commit()
                        try test.checkpoint()
                    }
                }
                try test.commit()
                try test.checkpoint()
            }
            values = try test.live.environment.values(Int(TreeDamageTests.table))
        }

        func image() throws -> PageImage { try PageImage(test.file("lmdb/data.mdb")) }

        /// As a start would read.
        func reader() throws -> TreeReader {
            let store = try test.live
            return try TreeReader(
                store.environment, store.options.tables, store.opener, store.readTransaction,
                store.environment.survey())
        }

        /// How many reads threw. A record that isn't found is an issue; one that isn't what was written
        /// doesn't authenticate.
        func refused(_ what: @autoclosure () -> String) throws -> Int {
            let reader: TreeReader
            do { reader = try self.reader() } catch { return keys.count }
            var refused = 0
            for (key, value) in zip(keys, values) {
                do {
                    let found = try key.withUnsafeBytes {
                        try reader.find(table: TreeDamageTests.table, key: $0)
                    }
                    guard let found else {
                        Issue.record("\(what()): \(key[6...7]) reads as absent")
                        continue
                    }
                    if !value.withUnsafeBytes({ isEqual($0, found) }) { refused += 1 }
                } catch { refused += 1 }
            }
            return refused
        }

        /// Each bit of these bytes, one at a time. How many flips were noticed.
        func flip(_ offsets: some Sequence<Int>, _ image: PageImage, _ what: String) throws -> Int {
            var noticed = 0
            for offset in offsets {
                for bit in 0..<8 {
                    try image.write([(offset, [image.bytes[offset] ^ 1 << UInt8(bit)])])
                    let place = "\(what), page \(offset / 4_096), byte \(offset % 4_096), bit \(bit)"
                    if try refused(place) > 0 { noticed += 1 }
                }
                try image.restore(offset, 1)
            }
            return noticed
        }
    }

    @Test(arguments: Size.allCases) func anIntactTreeIsRead(_ size: Size) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        #expect(image.pages(of: Self.name).filter(image.isBranch).count >= size.branches)
        #expect(try folder.refused("intact") == 0)
        let reader = try folder.reader()
        for number in 0...size.rawValue {
            let missing = TestStore.key(number * 2 + 1, Self.table)
            #expect(try missing.withUnsafeBytes { try reader.find(table: Self.table, key: $0) } == nil)
        }
    }

    /// Header, list and nodes of each branch; of a large one, a sample of its nodes.
    @Test(arguments: [Size.two, .three]) func aFlippedBitInABranch(_ size: Size) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        for page in image.pages(of: Self.name).filter(image.isBranch).prefix(2) {
            let (start, nodes) = (page * PageImage.pageBytes, image.nodes(page))
            let header = [0, 7, 10, 11, 12, 13, 14, 15].map { start + $0 }
            let sample = size == .two ? [0, 1, nodes.count - 1] : [nodes.count - 1]
            let list = sample.flatMap { [start + 16 + 2 * $0, start + 17 + 2 * $0] }
            let heads = sample.flatMap { Array(nodes[$0]..<nodes[$0] + 8) }
            let all = header + list + heads
            #expect(try folder.flip(all, image, "branch") == all.count * 8)
            let keys = sample.filter { $0 > 0 }.flatMap { [nodes[$0] + 14, nodes[$0] + 15] }
            _ = try folder.flip(keys, image, "branch's key")
        }
    }

    @Test(arguments: [Size.one, .two]) func aFlippedBitInALeaf(_ size: Size) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        let leaves = image.pages(of: Self.name).filter { !image.isBranch($0) }
        for page in [leaves[0], leaves[leaves.count / 2]] {
            let (start, nodes) = (page * PageImage.pageBytes, image.nodes(page))
            // Its number, its flags, its list; where nothing is missed, nobody looks for a gap.
            let all =
                Array(start..<start + 8) + [start + 10, start + 11]
                + Array(start + 16..<start + 16 + 2 * nodes.count)
            #expect(try folder.flip(all, image, "leaf") == all.count * 8)
            _ = try folder.flip(start + 12..<start + 16, image, "leaf's bounds")
            _ = try folder.flip(nodes[..<3].flatMap { Array($0..<$0 + 16) }, image, "leaf's node")
        }
    }

    /// A table's root, entries, depth and numbers of pages, in LMDB's own record.
    @Test(arguments: Size.allCases) func aFlippedBitInARootsRecord(_ size: Size) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        let record = try #require(image.record(Self.name))
        // Padding, and flags that are read when the database is opened, say nothing of the tree.
        #expect(try folder.flip(record + 6..<record + 48, image, "record") == 42 * 8)
        let empty = [UInt8](repeating: 0, count: 34) + [UInt8](repeating: 0xFF, count: 8)
        for (offset, bytes) in [(40, [UInt8](repeating: 0xFF, count: 8)), (6, empty)] {
            try image.write([(record + offset, bytes)])
            #expect(try folder.refused("an empty tree") == size.rawValue)
            try image.restore(record, Tree.recordBytes)
        }
    }

    /// A write that went to another's place, and the same with a header that was put right.
    @Test(arguments: [Size.two, .three], [false, true]) func aPageOverAnother(
        _ size: Size, _ bearsItsPlace: Bool
    ) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        let pages = image.pages(of: Self.name)
        for kind in [true, false] {
            let same = Array(pages.dropFirst().filter { image.isBranch($0) == kind }.prefix(24))
            let next = Array(same.dropFirst()) + same.prefix(1)
            for (from, to) in Array(zip(same, next)) + Array(zip(next, same)) where from != to {
                var page = Array(image.bytes[from * PageImage.pageBytes..<(from + 1) * PageImage.pageBytes])
                if bearsItsPlace { page.replaceSubrange(0..<8, with: PageImage.encoded(to)) }
                try image.write([(to * PageImage.pageBytes, page)])
                #expect(try folder.refused("page \(from) over \(to)") > 0)
                try image.restore(to * PageImage.pageBytes, PageImage.pageBytes)
            }
        }
    }

    /// A branch's number that leads to another page of the tree.
    @Test(arguments: [Size.two, .three]) func anotherChild(_ size: Size) throws {
        let folder = try Folder(size)
        let image = try folder.image()
        let pages = image.pages(of: Self.name)
        for page in pages where image.isBranch(page) {
            let nodes = image.nodes(page)
            for (index, node) in nodes.enumerated() where index % max(1, nodes.count / 4) == 0 {
                for other in stride(from: index % 3, to: pages.count, by: max(1, pages.count / 8)).map({
                    pages[$0]
                })
                where other != image.child(node) {
                    try image.write([(node, Array(PageImage.encoded(other).prefix(6)))])
                    #expect(try folder.refused("child \(index) of \(page) is \(other)") > 0)
                    try image.restore(node, 6)
                }
            }
        }
    }

    /// A number that leads to what a page was before: it is whole, and of the right keys, but free.
    @Test func anOlderChildAndAnOlderRoot() throws {
        let folder = try Folder(.two)
        let before = try folder.image()
        let old = before.pages(of: Self.name)
        // Without a record that the first leaf had.
        try folder.test.delete(Self.table, folder.keys[3])
        try folder.test.commit()
        try folder.test.checkpoint()
        let image = try folder.image()
        let record = try #require(image.record(Self.name))
        let pages = image.pages(of: Self.name)
        let key = folder.keys[3]
        #expect(old[0] != pages[0] && old[1] != pages[1])
        #expect(try key.withUnsafeBytes { try folder.reader().find(table: Self.table, key: $0) } == nil)
        try image.write([(image.nodes(pages[0])[0], Array(PageImage.encoded(old[1]).prefix(6)))])
        #expect(throws: StoreError.self) {
            try key.withUnsafeBytes { try folder.reader().find(table: Self.table, key: $0) }
        }
        try image.restore(image.nodes(pages[0])[0], 6)
        try image.write([(record + 40, PageImage.encoded(old[0]))])
        #expect(throws: StoreError.self) { try folder.reader() }
    }

    /// A write that the disk lost: of a root that is a leaf, the number of entries tells.
    @Test func anOlderRootAtItsPlace() throws {
        let folder = try Folder(.one)
        let before = try folder.image()
        let old = try #require(before.pages(of: Self.name).first)
        try folder.test.delete(Self.table, folder.keys[3])
        try folder.test.commit()
        try folder.test.checkpoint()
        let image = try folder.image()
        let root = try #require(image.pages(of: Self.name).first)
        let start = old * PageImage.pageBytes
        try image.write([
            (root * PageImage.pageBytes + 8, Array(before.bytes[start + 8..<start + PageImage.pageBytes]))
        ])
        #expect(throws: StoreError.self) { try folder.reader() }
    }

    /// LMDB would give away pages beyond what it takes for the file's end.
    @Test func aFileThatEndsTooEarly() throws {
        let folder = try Folder(.two)
        let image = try folder.image()
        let lastPage = image.metaPage + 136
        let pages = image.number(lastPage) + 1
        let free = image.freeLists.flatMap { list in
            (0..<image.number(list)).map { image.number(list + 8 + 8 * $0) }
        }
        // No free page is cut off, and none that this table has: the numbers alone tell.
        #expect(!free.contains(pages - 1))
        try image.write([(lastPage, PageImage.encoded(pages - 2))])
        let path = folder.test.path
        folder.test.crash()
        #expect(throws: StoreError.self) { try folder.test.open() }
        #expect(path == folder.test.path)
    }

    /// What a list has lost would be gone for good once LMDB has copied the leaf: a checkpoint ends the store
    /// instead.
    @Test(arguments: [false, true]) func aCheckpointWritesNoDamagedLeaf(_ deletes: Bool) throws {
        let folder = try Folder(.two)
        let image = try folder.image()
        let leaf = try #require(image.pages(of: Self.name).last) * PageImage.pageBytes
        let last = try #require(folder.keys.last)
        // The last record is off the list.
        try image.write([(leaf + 12, Array(PageImage.encoded(image.word(leaf + 12) - 2).prefix(2)))])
        if deletes {
            try folder.test.delete(Self.table, folder.keys[folder.keys.count - 2])
        } else {
            try folder.test.put(Self.table, last, [1])
        }
        try folder.test.commit()
        #expect(throws: StoreError.self) { try folder.test.checkpoint() }
        #expect(try folder.image().pages(of: Self.name) == image.pages(of: Self.name))
    }

    /// A page that left the page cache may come back as another: nothing is believed for ever.
    @Test func whatWasCheckedIsCheckedAgain() throws {
        let folder = try Folder(.three)
        #expect(try folder.test.read(Self.table, folder.keys[0]) != nil)
        let image = try folder.image()
        // Below the root, whose nodes are counted with each snapshot of a lower tree.
        let branch = try #require(image.pages(of: Self.name).dropFirst().first) * PageImage.pageBytes
        #expect(image.bytes[branch + 10] == 1, "a branch")
        try image.write([(branch + 12, [image.bytes[branch + 12] - 2])])
        #expect(try folder.test.read(Self.table, folder.keys[0]) != nil, "it was looked at")
        var rounds = 0
        while rounds < 40, (try? folder.test.read(Self.table, folder.keys[0])) != nil {
            rounds += 1
            try folder.test.write(rounds)
            do { try folder.test.checkpoint() } catch { break }
        }
        #expect(rounds < 40)
    }

    /// A page that LMDB would give away while a tree has it; and a list that isn't one.
    @Test func aFlippedBitInTheListOfFreePages() throws {
        let folder = try Folder(.two)
        let image = try folder.image()
        let list = try #require(image.freeLists.first { image.number($0) > 1 })
        let count = image.number(list)
        for page in image.pages(of: Self.name).prefix(4) + [0, 1, image.number(list + 16)] {
            try image.write([(list + 8, PageImage.encoded(page))])
            #expect(try folder.refused("page \(page) is free") > 0)
            try image.restore(list + 8, 8)
        }
        for wrong in [count + 1, count + 1 << 40, -1] {
            try image.write([(list, PageImage.encoded(wrong))])
            #expect(throws: StoreError.self) { try folder.reader() }
            try image.restore(list, 8)
        }
    }

    /// A branch that was whole isn't looked at again while it stays in the snapshots, and is when its page is
    /// another one.
    @Test func whatWasCheckedIsForgottenWithItsPage() throws {
        let folder = try Folder(.two)
        var seen: Set<Int> = []
        for round in 0..<30 {
            let image = try folder.image()
            let root = try #require(image.pages(of: Self.name).first)
            if seen.contains(root) {
                // Its last child's name is gone.
                try image.write([
                    (root * PageImage.pageBytes + 12, [image.bytes[root * PageImage.pageBytes + 12] - 2])
                ])
                #expect(throws: StoreError.self) { try folder.test.read(Self.table, folder.keys[0]) }
                return
            }
            seen.insert(root)
            #expect(try folder.test.read(Self.table, folder.keys[0]) != nil)
            try folder.test.put(Self.table, folder.keys[1], [UInt8(round)])
            try folder.test.commit()
            try folder.test.checkpoint()
        }
        Issue.record("no root ever had a page that an earlier one had")
    }
}
