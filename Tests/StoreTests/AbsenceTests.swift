import Foundation
import Testing

@testable import Store

/// A record that a flipped bit hides must not read as absent: LMDB has no checksums, and a hidden limit is a forgotten one.
@Suite struct AbsenceTests {
    private static let count = 300
    private static let table: UInt8 = 1

    private func key(_ number: Int) -> [UInt8] { TestStore.key(number * 2, Self.table) }
    private func value(_ number: Int) -> [UInt8] { Array("the value of record \(number)".utf8) }

    /// A closed folder with records in several leaves, and its database's bytes.
    private func folder(_ schema: UInt8 = Envelope.schema) throws -> (TestStore, [UInt8]) {
        let test = try TestStore()
        for number in 0..<Self.count { try test.put(Self.table, key(number), value(number)) }
        try test.commit()
        try test.checkpoint()
        if schema == 1 { try test.writeAsFirstSchema(Self.table) }
        try test.close()
        return (test, Array(try Data(contentsOf: test.file("lmdb/data.mdb"))))
    }

    /// Opens the folder with this database and reads every record: how many threw. One that reads as another, or as absent, is an issue.
    private func refused(_ test: TestStore, _ database: [UInt8], _ what: String) throws -> Int {
        try Data(database).write(to: test.file("lmdb/data.mdb"))
        do { try test.open() } catch { return Self.count }
        defer { test.crash() }
        var refused = 0
        for number in 0..<Self.count {
            do {
                let found = try test.read(Self.table, key(number))
                if found != value(number) { Issue.record("\(what): record \(number) reads as \(String(describing: found))") }
            } catch { refused += 1 }
        }
        return refused
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }

    /// Pages with this flag alone: 1 = branch, 2 = leaf. The first two are LMDB's meta pages.
    private func pages(_ bytes: [UInt8], flag: Int) -> [Int] {
        stride(from: 8_192, to: bytes.count, by: 4_096).filter { word(bytes, $0 + 10) == flag }
    }

    private func records(_ bytes: [UInt8], _ page: Int) -> [Int] {
        stride(from: page + 16, to: page + word(bytes, page + 12), by: 2).map { page + word(bytes, $0) }
    }

    @Test func whatIsThereIsFound() throws {
        let (test, database) = try folder()
        #expect(try refused(test, database, "undamaged") == 0)
        try test.open()
        for number in 0..<Self.count + 1 { #expect(try test.read(Self.table, TestStore.key(number * 2 + 1, Self.table)) == nil) }
        // Over a checkpoint too: the cursors move with the snapshot.
        try test.delete(Self.table, key(7))
        try test.commit()
        try test.checkpoint()
        #expect(try test.read(Self.table, key(7)) == nil)
        #expect(try test.read(0, TestStore.key(1, 0)) == nil, "an empty table has no neighbours")
    }

    @Test(arguments: [1, 2], [1, 2] as [UInt8]) func aFlippedKey(_ flag: Int, _ schema: UInt8) throws {
        let (test, database) = try folder(schema)
        var (flips, noticed) = (0, 0)
        for page in pages(database, flag: flag) {
            // Of a branch, the first record's key is empty.
            for record in records(database, page) where word(database, record + 6) == 17 {
                guard flag == 1 || flips % 7 == 0 else {
                    flips += 1
                    continue
                }
                flips += 1
                var damaged = database
                let (byte, bit) = (record + 8 + flips * 5 % 17, UInt8(1) << UInt8(flips % 8))
                damaged[byte] ^= bit
                if try refused(test, damaged, "page \(page / 4_096), byte \(byte % 4_096) ^ \(bit)") > 0 { noticed += 1 }
            }
        }
        #expect(flips > 5, "there are records to damage")
        // Branches: a separator may move without hiding anything. Leaves: stale pages aren't read.
        #expect(noticed > 0)
    }

    @Test func aShortenedLeaf() throws {
        let (test, database) = try folder()
        var noticed = 0
        let leaves = pages(database, flag: 2)
        for page in leaves where word(database, page + 12) > 18 {
            var damaged = database
            damaged[page + 12] &-= 2
            if damaged[page + 12] > 253 { damaged[page + 13] &-= 1 }
            if try refused(test, damaged, "page \(page / 4_096) shortened") > 0 { noticed += 1 }
        }
        #expect(noticed > 5, "\(noticed) of \(leaves.count) leaves")
    }
}
