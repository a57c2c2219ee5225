import CLMDB

/// Finds a row in LMDB's pages, or proves that it isn't there. LMDB 0.9 has no checksums: a flipped bit in a
/// key, in a page's list of nodes, in a branch or in the record of a root, or a page at another's place,
/// would make a record vanish, and a limit that has vanished is a limit forgotten. So this goes down the tree
/// itself, and believes no page before it has looked at it:
/// - the record of the root must be the one that was sealed (`LMDBEnvironment.trees`), and the tree as deep
///   as it says;
/// - each page must bear the number of its place, be a branch or a leaf where one belongs, and not be free;
/// - a branch must be whole. That is remembered, as nothing writes to a page that a snapshot sees, for so
///   long as LMDB doesn't free it;
/// - where a key isn't found, its leaf must be whole and hold keys of the branches' ranges alone, and the
///   records before and after the key's place must be there, be what was written, and enclose it.
///
/// A value that is found authenticates itself together with its key. That the neighbours are what was
/// written, the check in their envelopes tells: a CRC finds accidents. Who can write to the file could take a
/// record out of its leaf and leave both neighbours authentic, so opening them would tell no more, at ten
/// times the cost. What isn't found stands in SCHEMA §9.
final class TreeReader {
    private struct Step {
        var page: TreePage
        var index: Int
    }

    /// Snapshots after which every branch is looked at again: one that left the page cache may come back from
    /// the disk as another.
    private static let snapshotsRemembered = 32

    private let opener: TableOpener
    /// Of each table's keys, in bytes.
    private let widths: [Int]
    /// Page 0.
    private let map: UnsafeRawPointer
    private var filePages: UInt64 = 0
    private var trees: [Tree] = []
    /// Of this snapshot.
    private let free = PageSet(pages: 0)
    /// Branches that were whole.
    private let whole = PageSet(pages: 0)
    private var snapshots = 0
    /// The leaf of this snapshot that `check` looked at last.
    private var checkedLeaf: UInt64 = 0
    /// From the root to the leaf's parent, of the key in hand.
    private let path = UnsafeMutablePointer<Step>.allocate(capacity: Tree.maxDepth)
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 8)

    init(
        _ environment: LMDBEnvironment, _ specs: [TableSpec], _ opener: TableOpener,
        _ transaction: OpaquePointer,
        _ survey: FileSurvey
    ) throws(StoreError) {
        self.opener = opener
        widths = specs.map(\.keyBytes)
        map = try environment.mapStart(in: transaction)
        try renew(transaction, survey)
    }

    deinit {
        path.deallocate()
        plain.deallocate()
    }

    /// From now on `transaction` is read, which sees another snapshot: the one of the survey.
    func renew(_ transaction: OpaquePointer, _ survey: FileSurvey) throws(StoreError) {
        guard UInt64(mdb_txn_id(transaction)) == survey.transaction else {
            throw .damaged(path: "lmdb", detail: "another program wrote to it")
        }
        let pages = Int(survey.gauges.filePages)
        filePages = survey.writtenPages
        free.copy(survey.free, pages: pages)
        whole.makeRoom(pages: pages)
        // A page of the last snapshot can't have been used again: that snapshot was still read when the
        // newest transaction ended.
        whole.subtract(free)
        if snapshots % TreeReader.snapshotsRemembered == 0 { whole.removeAll() }
        snapshots += 1
        trees = survey.trees
        checkedLeaf = 0
        for table in trees.indices { try checkRoot(table) }
    }

    /// The root's nodes are counted by the record: of one or two levels, each.
    private func checkRoot(_ table: Int) throws(StoreError) {
        let (root, counts) = (trees[table].root, trees[table].counts)
        guard counts.depth > 0 else { return }
        let page = try page(root, counts.depth == 1 ? .leaf : .branch, table)
        let expected =
            switch counts.depth {
            case 1: counts.entries
            case 2: counts.leafPages
            default: UInt64(page.count)
            }
        guard UInt64(page.count) == expected else {
            throw damaged(table, "the root isn't the one that was written last")
        }
    }

    /// Rows of a table in this snapshot.
    func rows(_ table: UInt8) -> UInt64 { trees[Int(table)].counts.entries }

    /// Lends LMDB's own memory, valid until the transaction is reset; `nil` = no record. Throws when there
    /// may have been one.
    func find(table: UInt8, key: UnsafeRawBufferPointer) throws(StoreError) -> UnsafeRawBufferPointer? {
        let table = Int(table)
        let wanted = searchKey(key, table)
        guard let leaf = try descend(to: wanted, table) else { return nil }
        let place = try place(of: wanted, in: leaf, from: 0, table, isAfterEqual: false)
        if place < leaf.count, let found = leaf.key(place, wanted.width), wanted.order(found) == 0 {
            guard let value = leaf.value(place, wanted.width) else {
                throw damaged(table, "page \(leaf.number) isn't whole")
            }
            return value
        }
        try checkAbsence(of: wanted, at: place, in: leaf, table)
        return nil
    }

    /// Throws unless the leaf where a key is or would be is whole, and the branches above it. Before LMDB
    /// writes there: it copies what a page lists, and a list that has lost a record looks whole afterwards.
    func check(around key: UnsafeRawBufferPointer, table: UInt8) throws(StoreError) {
        let table = Int(table)
        guard let leaf = try descend(to: searchKey(key, table), table), leaf.number != checkedLeaf else {
            return
        }
        guard leaf.isWhole(.leaf, widths[table]) else {
            throw damaged(table, "page \(leaf.number) isn't whole")
        }
        try checkRange(of: leaf, table)
        checkedLeaf = leaf.number
    }

    private func searchKey(_ key: UnsafeRawBufferPointer, _ table: Int) -> SearchKey {
        guard let wanted = SearchKey(key), wanted.width == widths[table] else {
            preconditionFailure("a table's keys have one width")
        }
        return wanted
    }

    /// The leaf where a key is or would be; `path` leads there. `nil` = the table is empty.
    @inline(__always) private func descend(to key: SearchKey, _ table: Int) throws(StoreError) -> TreePage? {
        let depth = trees[table].counts.depth
        guard depth > 0 else { return nil }
        var number = trees[table].root
        for level in 0..<depth - 1 {
            let branch = try branch(number, table)
            let index = try place(of: key, in: branch, from: 1, table, isAfterEqual: true) - 1
            path[level] = Step(page: branch, index: index)
            number = branch.child(index)
        }
        return try page(number, .leaf, table)
    }

    /// The first node from `first` on whose key is after `key`, or `key` itself.
    @inline(__always) private func place(
        of key: SearchKey, in page: TreePage, from first: Int, _ table: Int, isAfterEqual: Bool
    ) throws(StoreError) -> Int {
        var (low, high) = (first, page.count)
        while low < high {
            let middle = (low + high) >> 1
            guard let other = page.key(middle, key.width) else {
                throw damaged(table, "page \(page.number) isn't whole")
            }
            let order = key.order(other)
            if order > 0 || (order == 0 && isAfterEqual) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: pages

    /// A page at its place, and in use.
    @inline(__always) private func page(
        _ number: UInt64, _ kind: TreePage.Kind, _ table: Int
    ) throws(StoreError) -> TreePage {
        guard number < filePages, !free.contains(number) else {
            throw damaged(table, "page \(number) is free, or beyond the file")
        }
        let page = TreePage(start: map + Int(number) * TreePage.bytes)
        guard page.isHeaded(number, kind) else {
            throw damaged(table, "page \(number) isn't the \(kind) that belongs there")
        }
        return page
    }

    @inline(__always) private func branch(_ number: UInt64, _ table: Int) throws(StoreError) -> TreePage {
        let page = try page(number, .branch, table)
        if !whole.contains(number) {
            guard page.count > 1, page.isWhole(.branch, widths[table]) else {
                throw damaged(table, "page \(number) isn't whole")
            }
            whole.insert(number)
        }
        return page
    }

    private func wholeLeaf(_ number: UInt64, _ table: Int) throws(StoreError) -> TreePage {
        let leaf = try page(number, .leaf, table)
        guard leaf.isWhole(.leaf, widths[table]) else { throw damaged(table, "page \(number) isn't whole") }
        return leaf
    }

    /// The leaf before (`step` -1) or after (1) the one that `path` leads to.
    private func leaf(beside step: Int, _ table: Int) throws(StoreError) -> TreePage? {
        let leafLevel = trees[table].counts.depth - 1
        var level = leafLevel - 1
        while level >= 0, !(0..<path[level].page.count).contains(path[level].index + step) { level -= 1 }
        guard level >= 0 else { return nil }
        var number = path[level].page.child(path[level].index + step)
        while level + 1 < leafLevel {
            level += 1
            let branch = try branch(number, table)
            number = branch.child(step < 0 ? branch.count - 1 : 0)
        }
        return try wholeLeaf(number, table)
    }

    // MARK: absence

    /// - Parameter place: of the first key in `leaf` after the one that isn't there.
    private func checkAbsence(
        of key: SearchKey, at place: Int, in leaf: TreePage, _ table: Int
    ) throws(StoreError) {
        guard leaf.isWhole(.leaf, key.width) else { throw damaged(table, "page \(leaf.number) isn't whole") }
        try checkRange(of: leaf, table)
        if place > 0 {
            try checkNeighbour(leaf, place - 1, key, isBefore: true, table)
        } else if let before = try self.leaf(beside: -1, table) {
            try checkNeighbour(before, before.count - 1, key, isBefore: true, table)
        }
        if place < leaf.count {
            try checkNeighbour(leaf, place, key, isBefore: false, table)
        } else if let after = try self.leaf(beside: 1, table) {
            try checkNeighbour(after, 0, key, isBefore: false, table)
        }
    }

    /// Every branch above says which keys the leaf may hold; a branch's number that leads to another's child
    /// leads out of that.
    private func checkRange(of leaf: TreePage, _ table: Int) throws(StoreError) {
        let width = widths[table]
        guard let first = leaf.searchKey(0, width), let last = leaf.searchKey(leaf.count - 1, width)
        else { throw damaged(table, "page \(leaf.number) isn't whole") }
        for level in 0..<trees[table].counts.depth - 1 {
            let (page, index) = (path[level].page, path[level].index)
            let isAbove = index == 0 || page.key(index, width).map { first.order($0) >= 0 } ?? false
            let isBelow =
                index + 1 == page.count || page.key(index + 1, width).map { last.order($0) < 0 } ?? false
            guard isAbove, isBelow else { throw damaged(table, "page \(leaf.number) holds another's keys") }
        }
    }

    private func checkNeighbour(
        _ leaf: TreePage, _ index: Int, _ key: SearchKey, isBefore: Bool, _ table: Int
    ) throws(StoreError) {
        guard let other = leaf.key(index, key.width), let value = leaf.value(index, key.width),
            case let order = key.order(other), isBefore ? order > 0 : order < 0
        else { throw damaged(table, "the records around a missing one are out of order") }
        try opener.check(
            table: UInt8(table), key: UnsafeRawBufferPointer(start: other, count: key.width), sealed: value,
            into: plain)
    }

    private func damaged(_ table: Int, _ detail: @autoclosure () -> String) -> StoreError {
        .damaged(path: "lmdb table \(table)", detail: detail())
    }
}
