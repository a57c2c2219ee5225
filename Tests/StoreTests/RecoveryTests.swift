import Foundation
import Testing

@testable import Store

/// What a start makes of a folder that a crash, a disk or a hand has left behind.
@Suite struct RecoveryTests {
    /// Opens and returns why not.
    func refusal(_ test: TestStore, master: UInt8 = 7) -> StoreError? {
        do {
            try test.open(master: master)
            return nil
        } catch { return error as? StoreError }
    }

    func isDamaged(_ error: StoreError?, _ words: String) -> Bool {
        guard case .damaged(_, let detail) = error else { return false }
        return detail.contains(words)
    }

    func isLost(_ error: StoreError?, _ words: String) -> Bool {
        guard case .tailLost(_, let detail) = error else { return false }
        return detail.contains(words)
    }

    @Test func aCrashLosesNothing() throws {
        let test = try TestStore()
        for number in 0..<20 { try test.write(number) }
        try test.reopen()
        #expect(try test.live.recovery.replayed == 20)
        for number in 0..<20 { #expect(try test.has(number)) }
        // Not committed: never acknowledged, gone.
        try test.put(2, TestStore.key(99, 2), [1])
        try test.reopen()
        #expect(try test.read(2, TestStore.key(99, 2)) == nil)
        try test.write(20)
        try test.reopen()
        #expect(try test.has(20))
    }

    @Test func aTornTailIsDropped() throws {
        for keep in [0, 4, 100, 150] {
            let test = try TestStore()
            for number in 0..<5 { try test.write(number) }
            try test.losePower()
            let segment = try test.newestSegment()
            let last = try #require(try test.records(in: segment).last)
            try test.edit(segment) { bytes in
                for index in last.offset + keep..<last.offset + last.bytes { bytes[index] = 0 }
            }
            try test.open()
            #expect(try test.live.recovery.droppedTornTail == (keep >= 128), "what has no header left isn't seen")
            #expect(try test.has(3), "kept \(keep) bytes of the last record")
            #expect(try !test.has(4))
            // The place is used again.
            try test.write(5)
            try test.reopen()
            #expect(try test.has(5))
            #expect(try !test.has(4))
        }
    }

    @Test func aFlippedBitInTheMiddleIsRefused() throws {
        for bit in [0, 33, 70, 125, 130, 150, 77] {
            let test = try TestStore()
            for number in 0..<5 { try test.write(number) }
            test.crash()
            let segment = try test.newestSegment()
            let before = try Data(contentsOf: segment)
            let second = try #require(try test.records(in: segment).dropFirst().first)
            try test.edit(segment) { $0[second.offset + bit] ^= 1 }
            let changed = try Data(contentsOf: segment)
            #expect(isLost(refusal(test), bit < 128 && bit != 77 ? "header of record 2" : "record 2 has changed"), "byte \(bit)")
            #expect(try Data(contentsOf: segment) == changed, "a refusal changes nothing")
            #expect(changed != before)
        }
    }

    /// A right checksum over wrong bytes: somebody meant it.
    @Test func aForgedRecordIsRefused() throws {
        let test = try TestStore()
        for number in 0..<3 { try test.write(number) }
        test.crash()
        let segment = try test.newestSegment()
        let last = try #require(try test.records(in: segment).last)
        try test.edit(segment) { bytes in
            bytes[last.offset + 130] ^= 1
            bytes.withUnsafeMutableBytes { raw in
                let record = raw.slice(last.offset, last.bytes)
                let view = UnsafeRawBufferPointer(record)
                if let header = JournalRecord.header(view) {
                    record.set(JournalRecord.crcOffset, JournalRecord.stampedCRC(view, header))
                }
            }
        }
        #expect(isDamaged(refusal(test), "doesn't authenticate"))
    }

    @Test func aJournalThatEndsBeforeTheDatabaseIsRefused() throws {
        let test = try TestStore()
        for number in 0..<5 { try test.write(number) }
        try test.checkpoint()
        test.crash()
        let segment = try test.newestSegment()
        try test.edit(segment) { bytes in for index in bytes.indices { bytes[index] = 0 } }
        #expect(isDamaged(refusal(test), "ends before the position"))
        try FileManager.default.removeItem(at: segment)
        #expect(isDamaged(refusal(test), "ends before the position"))
    }

    @Test func aMissingSegmentIsRefused() throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        for number in 0..<40 { try test.write(number) }
        test.crash()
        let names = try FileManager.default.contentsOfDirectory(atPath: test.path + "/journal").sorted()
            .filter { $0.hasSuffix(".seg") }
        #expect(names.count > 3)
        try FileManager.default.removeItem(at: test.file("journal/" + names[1]))
        #expect(isLost(refusal(test), "a gap"))
    }

    @Test func anotherStoresJournalIsRefused() throws {
        let (one, other) = (try TestStore(), try TestStore())
        for number in 0..<5 { try one.write(number) }
        try one.checkpoint()
        for number in 0..<9 { try other.write(number) }
        one.crash()
        other.crash()
        let target = try one.newestSegment()
        try FileManager.default.removeItem(at: target)
        try FileManager.default.copyItem(at: try other.newestSegment(), to: target)
        // The position's record is the other store's: its tag isn't the one that LMDB knows.
        #expect(refusal(one) != nil)
    }

    @Test func anotherMasterKeyIsRefused() throws {
        let test = try TestStore()
        test.crash()
        #expect(refusal(test, master: 8) == .wrongMasterKey(path: test.path + "/keyring"))
        #expect(refusal(test) == nil)
    }

    /// Found by `otp-bench bitflips --count 500 --seed 1`: before the first checkpoint nothing else tells whose journal it is, and all of it was
    /// dropped as a torn tail.
    @Test func aFlippedBitInTheStoresNameLosesNothing() throws {
        let test = try TestStore()
        for number in 0..<3 { try test.write(number) }
        test.crash()
        let name = try Data(contentsOf: test.file("format"))
        try test.edit(test.file("format")) { $0[15] = $0[15] == 0x30 ? 0x31 : 0x30 }
        #expect { try test.open() } throws: { "\($0)".contains("a record of another store stands where record 1 is due") }
        try Data(name).write(to: test.file("format"))
        try test.open()
        for number in 0..<3 { #expect(try test.has(number)) }
    }

    @Test func newerFormatsAreRefusedByName() throws {
        let test = try TestStore()
        test.crash()
        let format = try Data(contentsOf: test.file("format"))
        try Data("otpd-store 2\n00000000000000000000000000000000\n".utf8).write(to: test.file("format"))
        #expect(refusal(test) == .newerFormat(path: test.path, found: "otpd-store 2"))
        try format.write(to: test.file("format"))
        try test.edit(test.file("keyring")) { $0[7] = 3 }
        #expect(refusal(test) == .newerFormat(path: test.path + "/keyring", found: "keyring 3"))
        try test.edit(test.file("keyring")) { $0[7] = 1 }
        try Data("something else\n".utf8).write(to: test.file("format"))
        #expect(refusal(test) == .notADataFolder(path: test.path))
    }

    @Test func aTamperedKeyringIsRefused() throws {
        let test = try TestStore()
        test.crash()
        try test.edit(test.file("keyring")) { $0[40] ^= 1 }
        #expect(isDamaged(refusal(test), "doesn't open"))
        try test.edit(test.file("keyring")) { $0.removeLast() }
        #expect(isDamaged(refusal(test), "length"))
    }

    @Test func aSecondInstanceIsRefused() throws {
        let test = try TestStore()
        #expect(throws: StoreError.locked(path: test.path)) {
            _ = try Store(opening: test.options, master: TestStore.master())
        }
        try test.write(1)
        #expect(try test.has(1))
    }

    @Test func aTamperedValueIsNeverRead() throws {
        let test = try TestStore()
        let key = [UInt8](repeating: 0xA5, count: 14)
        try test.put(2, key, [UInt8](repeating: 0x55, count: 64))
        try test.commit()
        try test.close()
        // The key and the envelope's header are in clear in the file; the byte after them is ciphertext.
        let file = test.file("lmdb/data.mdb")
        var data = try Data(contentsOf: file)
        let found = try #require(data.range(of: Data(key)))
        data[found.upperBound + Envelope.headerBytes + 3] ^= 1
        try data.write(to: file)
        try test.open()
        #expect(throws: StoreError.self) { try test.read(2, key) }
    }

    @Test func nothingIsInClear() throws {
        let test = try TestStore()
        let secret = Array("+33612345678 is a phone of alice".utf8)
        try test.put(2, TestStore.key(1, 2), secret)
        try test.commit()
        try test.close()
        for case let url as URL in FileManager.default.enumerator(at: test.root, includingPropertiesForKeys: nil) ?? .init() {
            guard let bytes = try? Data(contentsOf: url) else { continue }
            #expect(bytes.range(of: Data(secret.prefix(12))) == nil, "\(url.lastPathComponent)")
        }
    }

    @Test func anInterruptedFirstStartLeavesNothing() throws {
        let test = try TestStore()
        let path = test.root.path + "/other"
        // A staging folder of a process that died.
        try FileManager.default.createDirectory(atPath: path + ".new-1", withIntermediateDirectories: true)
        try Store.create(at: path, master: TestStore.master())
        #expect(FileManager.default.fileExists(atPath: path + "/format"))
        #expect(throws: StoreError.alreadyExists(path: path)) { try Store.create(at: path, master: TestStore.master()) }
    }

    @Test func notADataFolder() throws {
        let test = try TestStore()
        var options = test.options
        options.path = test.root.path
        #expect(throws: StoreError.notADataFolder(path: test.root.path)) {
            _ = try Store(opening: options, master: TestStore.master())
        }
    }

    /// After kill -9 the last record may live in the page cache alone: a start writes and syncs it again.
    @Test func theLastRecordIsWrittenAgain() throws {
        let test = try TestStore()
        for number in 0..<3 { try test.write(number) }
        test.crash()
        let segment = try test.newestSegment()
        let old = Date(timeIntervalSince1970: 1_000)
        try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: segment.path)
        try test.open()
        let after = try FileManager.default.attributesOfItem(atPath: segment.path)[.modificationDate] as? Date
        #expect(try #require(after) > old)
    }

    @Test func anotherProgramsWriteToLMDBIsSeen() throws {
        let test = try TestStore()
        try test.write(1)
        try test.close()
        try LMDBEnvironment.foreignWrite(path: test.path + "/lmdb")
        #expect(isDamaged(refusal(test), "another program"))
    }

    /// A start writes nothing into LMDB: its newest transaction stays ours.
    @Test func manyStarts() throws {
        let test = try TestStore()
        for number in 0..<5 {
            try test.write(number)
            try test.reopen()
            try test.close()
            try test.open()
        }
        for number in 0..<5 { #expect(try test.has(number)) }
    }
}
