import Foundation
import Testing

@testable import Store

/// A file that was cut, or whose branches lead out of it, is found without LMDB, which would die of it.
@Suite struct BranchWalkTests {
    /// Three tables, one of them of several levels; closed.
    private func database() throws -> (TestStore, URL) {
        let test = try TestStore()
        for number in 0..<2_000 {
            try test.put(2, TestStore.key(number, 2), Array("value \(number)".utf8))
            if number % 100 == 0 { try test.commit() }
        }
        try test.commit()
        try test.close()
        return (test, test.file("lmdb/data.mdb"))
    }

    private func isDamaged(_ url: URL) -> Bool {
        do throws(StoreError) { try BranchWalk.check(url.path) } catch {
            if case .damaged = error { return true }
        }
        return false
    }

    @Test func aCutFile() throws {
        let (test, url) = try database()
        defer { withExtendedLifetime(test) {} }
        #expect(!isDamaged(url))
        let whole = try Data(contentsOf: url)
        let pages = whole.count / TreePage.bytes
        #expect(pages > 40)
        var found = 0
        for kept in 1..<pages {
            try whole.prefix(kept * TreePage.bytes).write(to: url)
            if isDamaged(url) { found += 1 }
        }
        // The last pages may be free ones.
        #expect(found > (pages - 1) * 3 / 4, "\(found) of \(pages - 1)")
        try whole.prefix(whole.count - 100).write(to: url)
        #expect(isDamaged(url), "not whole pages")
    }

    /// Whatever the meta pages say, it ends with an answer.
    @Test func flippedBitsInTheMetaPages() throws {
        let (test, url) = try database()
        defer { withExtendedLifetime(test) {} }
        let whole = try Data(contentsOf: url)
        for offset in 40..<144 {
            for meta in 0..<2 {
                var bytes = whole
                bytes[meta * TreePage.bytes + offset] ^= 0x80
                try bytes.write(to: url)
                _ = isDamaged(url)
            }
        }
        // Both roots of the main database.
        var bytes = whole
        for meta in 0..<2 { bytes[meta * TreePage.bytes + 88 + 40 + 3] ^= 1 }
        try bytes.write(to: url)
        #expect(isDamaged(url))
    }
}
