import Glibc

/// A page of one of LMDB 0.9's trees, in its own memory: page header (number 8, padding 2, flags 2, lower 2,
/// upper 2), offsets of nodes from byte 16 to `lower`, nodes from `upper` to the end. A node: size or child's
/// page number 4, flags or the number's upper bits 2, key bytes 2, key, and in a leaf the value; padded to an
/// even size. Host byte order.
///
/// Nothing in it is trusted: each node is looked at within the page's bounds.
struct TreePage {
    static let bytes = 4_096
    static let headBytes = 16
    static let nodeHeadBytes = 8

    enum Kind: UInt16 {
        case branch = 1
        case leaf = 2
    }

    let start: UnsafeRawPointer

    var number: UInt64 { start.loadUnaligned(as: UInt64.self) }
    var lower: Int { word(12) }
    var upper: Int { word(14) }
    /// Nodes that the page lists.
    var count: Int { (lower - TreePage.headBytes) / 2 }

    /// Its header is one of page `number` and this kind, and can be.
    func isHeaded(_ number: UInt64, _ kind: Kind) -> Bool {
        self.number == number && word(10) == Int(kind.rawValue) && lower > TreePage.headBytes
            && lower <= upper
            && upper < TreePage.bytes && (lower | upper) % 2 == 0
    }

    /// The key of a node, of the table's width; `nil` = there can't be one.
    @inline(__always) func key(_ index: Int, _ width: Int) -> UnsafeRawPointer? {
        let node = word(TreePage.headBytes + 2 * index)
        guard node >= TreePage.headBytes, node + TreePage.nodeHeadBytes + width <= TreePage.bytes,
            word(node + 6) == width
        else { return nil }
        return start + node + TreePage.nodeHeadBytes
    }

    /// The same, to be looked for elsewhere.
    func searchKey(_ index: Int, _ width: Int) -> SearchKey? {
        key(index, width).flatMap { SearchKey(UnsafeRawBufferPointer(start: $0, count: width)) }
    }

    /// The value of a leaf's node, whose key was looked at; `nil` = there can't be one.
    func value(_ index: Int, _ width: Int) -> UnsafeRawBufferPointer? {
        let node = word(TreePage.headBytes + 2 * index)
        let from = node + TreePage.nodeHeadBytes + width
        let size = word(node) | word(node + 2) << 16
        guard word(node + 4) == 0, from + size <= TreePage.bytes else { return nil }
        return UnsafeRawBufferPointer(start: start + from, count: size)
    }

    /// The page that a branch's node leads to. Of a branch that is whole.
    func child(_ index: Int) -> UInt64 {
        let node = word(TreePage.headBytes + 2 * index)
        return UInt64(word(node)) | UInt64(word(node + 2)) << 16 | UInt64(word(node + 4)) << 32
    }

    /// The nodes that the page lists fill its end without a gap, and their keys rise: none was dropped, put
    /// twice or exchanged. A branch's first key stands for all below the second, and is empty.
    func isWhole(_ kind: Kind, _ width: Int) -> Bool {
        var filled = 0
        var last: UnsafeRawPointer?
        for index in 0..<count {
            let node = word(TreePage.headBytes + 2 * index)
            guard node >= upper, node + TreePage.nodeHeadBytes <= TreePage.bytes else { return false }
            var size = TreePage.nodeHeadBytes + word(node + 6)
            if kind == .branch, index == 0 {
                guard size == TreePage.nodeHeadBytes || size == TreePage.nodeHeadBytes + width else {
                    return false
                }
            } else {
                guard let key = key(index, width), last.map({ TreePage.precedes($0, key, width) }) ?? true
                else { return false }
                last = key
            }
            if kind == .leaf {
                guard word(node + 4) == 0 else { return false }
                size += word(node) | word(node + 2) << 16
            }
            filled += size + size & 1
        }
        return filled == TreePage.bytes - upper
    }

    /// Keys have 8 bytes at least, and most differ in these.
    @inline(__always) private static func precedes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ width: Int)
        -> Bool
    {
        let (left, right) = (SearchKey.prefix(a), SearchKey.prefix(b))
        if left != right { return left < right }
        return isLess(
            UnsafeRawBufferPointer(start: a, count: width), UnsafeRawBufferPointer(start: b, count: width))
    }

    @inline(__always) private func word(_ offset: Int) -> Int {
        Int(start.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}

/// A key that is looked for, of 8 bytes at least. Unsigned, bytewise, as LMDB orders keys.
struct SearchKey {
    private let bytes: UnsafeRawPointer
    private let head: UInt64
    let width: Int

    init?(_ key: UnsafeRawBufferPointer) {
        guard key.count >= 8, let start = key.baseAddress else { return nil }
        bytes = start
        head = SearchKey.prefix(start)
        width = key.count
    }

    /// Negative = it is before `other`, 0 = it is the same.
    @inline(__always) func order(_ other: UnsafeRawPointer) -> Int32 {
        let prefix = SearchKey.prefix(other)
        if head != prefix { return head < prefix ? -1 : 1 }
        return memcmp(bytes + 8, other + 8, width - 8)
    }

    @inline(__always) static func prefix(_ key: UnsafeRawPointer) -> UInt64 {
        UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
    }
}
