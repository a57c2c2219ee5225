/// A set of LMDB's pages, by number: a bit each, so 2 MiB for a file of 64 GiB.
final class PageSet: @unchecked Sendable {  // one thread's; handed over whole
    private var words: UnsafeMutableBufferPointer<UInt64>

    /// Of the pages below `pages`; empty.
    init(pages: Int) {
        words = .allocate(capacity: (pages + 63) / 64)
        words.initialize(repeating: 0)
    }

    deinit { words.deallocate() }

    @inline(__always) func contains(_ page: UInt64) -> Bool {
        let index = Int(truncatingIfNeeded: page >> 6)
        return index < words.count && words[index] & 1 << (page & 63) != 0
    }

    /// False = it was in already. Of a page that there is room for.
    @discardableResult func insert(_ page: UInt64) -> Bool {
        let index = Int(truncatingIfNeeded: page >> 6)
        let bit = UInt64(1) << (page & 63)
        defer { words[index] |= bit }
        return words[index] & bit == 0
    }

    func removeAll() { words.update(repeating: 0) }

    /// Takes out what is in `other`.
    func subtract(_ other: PageSet) {
        for index in 0..<min(words.count, other.words.count) { words[index] &= ~other.words[index] }
    }

    /// Makes room for the pages below `pages`, and some more; what it holds stays.
    func makeRoom(pages: Int) {
        let old = words
        guard pages > old.count * 64 else { return }
        words = .allocate(capacity: (pages + pages / 2 + 63) / 64)
        words.initialize(repeating: 0)
        for index in old.indices { words[index] = old[index] }
        old.deallocate()
    }

    /// Holds what `other` holds.
    func copy(_ other: PageSet, pages: Int) {
        makeRoom(pages: pages)
        for index in words.indices { words[index] = index < other.words.count ? other.words[index] : 0 }
    }
}
