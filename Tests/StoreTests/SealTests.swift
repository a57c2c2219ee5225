import Foundation
import Testing

@testable import Store

/// The seal that each transaction of ours carries, and folders of before it.
@Suite struct SealTests {
    private func folder() throws -> TestStore {
        let test = try TestStore()
        for number in 0..<100 { try test.write(number) }
        try test.checkpoint()
        return test
    }

    @Test func aFolderOfTheFirstFormatGetsASeal() throws {
        let test = try folder()
        #expect(try test.live.environment.storedFormat() == (2, true))
        try test.live.environment.overwriteMeta(format: 1, txn: nil)
        // A start alone writes nothing.
        for _ in 0..<2 {
            try test.reopen()
            #expect(try test.live.environment.storedFormat() == (1, false))
            for number in 0..<100 { #expect(try test.has(number)) }
        }
        try test.write(100)
        try test.checkpoint()
        #expect(try test.live.environment.storedFormat() == (2, true))
        try test.reopen()
        for number in 0...100 { #expect(try test.has(number)) }
    }

    @Test func aLaterFormatIsRefusedAsSuch() throws {
        let test = try folder()
        try test.live.environment.overwriteMeta(format: 3, txn: nil)
        test.crash()
        #expect(throws: StoreError.newerFormat(path: test.path + "/lmdb", found: "database 3")) {
            try test.open()
        }
    }

    /// A seal of another transaction, one that isn't whole, none.
    @Test func aWrongSealIsRefused() throws {
        var row = [UInt8](repeating: 0, count: TransactionSeal.bytes(tables: 3))
        row.withUnsafeMutableBytes {
            TransactionSeal.encode(id: 1, [Tree.Counts](repeating: Tree.Counts(), count: 3), into: $0)
        }
        for wrong in [row, Array(row.dropLast()), Array(row.prefix(8)), [row[0] ^ 1] + row.dropFirst()] {
            let test = try folder()
            try test.live.environment.overwriteMeta(format: 2, txn: wrong)
            test.crash()
            #expect(throws: StoreError.self) { try test.open() }
        }
        row[20] ^= 1
        row.withUnsafeBytes { #expect(TransactionSeal($0) == nil) }
    }

    /// Whoever opens a database that only a seal tells to be short of records refuses it.
    @Test func treesThatArentTheSealedOnesAreRefused() throws {
        let test = try folder()
        let image = try PageImage(test.file("lmdb/data.mdb"))
        let record = try #require(image.record("kept"))
        test.crash()
        // Entries, depth, leaf pages: each one more.
        for (offset, was) in [(32, 100), (6, image.word(record + 6)), (16, image.number(record + 16))] {
            try image.write([(record + offset, [UInt8(was + 1)])])
            #expect(throws: StoreError.self) { try test.open() }
            try image.restore(record, Tree.recordBytes)
        }
        try test.open()
    }
}
