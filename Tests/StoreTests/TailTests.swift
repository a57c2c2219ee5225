import Foundation
import Testing

@testable import Store

/// Whatever becomes of the journal's end, what was acknowledged is there or the start is refused: rot isn't
/// taken for a tear, and a tear isn't taken for rot.
@Suite struct TailTests {
    /// What to do to the last record, which has several sectors.
    private static let sizes = [1, 300, 352, 356, 364, 368, 372, 900, 1_378, 1_384, 1_900]

    /// Opens; `nil` = it does.
    private func refusal(_ test: TestStore) -> String? {
        do {
            try test.open()
            test.crash()
            return nil
        } catch StoreError.tailLost(_, let detail) {
            return detail
        } catch { return "NOT A LOSS: \(error)" }
    }

    /// A store whose last record has `bytes` of value; stopped by a kill.
    private func make(_ bytes: Int) throws -> (test: TestStore, segment: URL, last: (offset: Int, bytes: Int))
    {
        let test = try TestStore(segmentBytes: 8 << 10)
        for number in 0..<3 { try test.write(number) }
        try test.put(2, TestStore.key(9, 2), [UInt8](repeating: 0xA7, count: bytes))
        try test.commit()
        test.crash()
        let segment = try test.newestSegment()
        let last = try #require(try test.records(in: segment).last)
        return (test, segment, (last.offset, last.bytes))
    }

    // MARK: rot

    /// Every byte of it, without the note's help: its own bytes are never taken for a torn tail, and a flip
    /// in a stamp or in what is of no meaning costs nothing.
    @Test func aFlippedBitInTheLastRecordIsRefused() throws {
        for size in Self.sizes {
            let (test, segment, last) = try make(size)
            let whole = try Data(contentsOf: segment)
            let record = Array(whole[last.offset..<last.offset + last.bytes])
            let keyring = try Keyring(opening: test.path + "/keyring", master: TestStore.master())
            let uuid = try DataFolder.readFormat(test.path)
            for place in 0..<last.bytes {
                var bytes = whole
                bytes[last.offset + place] ^= 1 << (place % 8)
                try bytes.write(to: segment)
                var recovery = Recovery(
                    folder: test.path + "/journal", uuid: uuid, keyring: keyring, epoch: 1,
                    position: Position())
                do throws(StoreError) {
                    try recovery.run { (_, _, _) throws(StoreError) in }
                    #expect(
                        recovery.position.sequence == 4 && !recovery.report.droppedTornTail,
                        "size \(size), byte \(place)")
                    #expect(!Self.matters(place, record), "size \(size), byte \(place)")
                } catch {
                    #expect(
                        isLoss(error, "changed since it was written"), "size \(size), byte \(place): \(error)"
                    )
                    #expect(Self.matters(place, record), "size \(size), byte \(place)")
                    #expect(try Data(contentsOf: segment) == bytes, "a refusal changes nothing")
                }
            }
        }
    }

    private func isLoss(_ error: StoreError, _ words: String) -> Bool {
        guard case .tailLost(_, let detail) = error else { return false }
        return detail.contains(words)
    }

    /// From SCHEMA.md §3: whether a byte of a record is its own, or of a word that a stamp displaces.
    private static func matters(_ place: Int, _ record: [UInt8]) -> Bool {
        let end = 128 + Int(record.withUnsafeBytes { $0.u32(56) }) + 16
        let content = (end + 3) / 4 * 4
        if place % 512 >= 508 { return false }
        if place < end { return true }
        var kept = content
        for stamp in stride(from: 508, to: content, by: 512) {
            if kept % 512 == 508 { kept += 4 }
            if (kept..<kept + 4).contains(place) { return stamp + place - kept < end }
            kept += 4
        }
        return false
    }

    /// One stamp is worn: the start mends it.
    @Test func aFlippedStampIsMended() throws {
        let (test, segment, last) = try make(900)
        let whole = try Data(contentsOf: segment)
        for sector in 0..<last.bytes / 512 {
            var bytes = whole
            bytes[last.offset + sector * 512 + 510] ^= 0x10
            try bytes.write(to: segment)
            try test.open()
            #expect(try !test.live.recovery.droppedTornTail)
            #expect(try test.read(2, TestStore.key(9, 2))?.count == 900)
            test.crash()
            #expect(try Data(contentsOf: segment) == whole)
        }
    }

    // MARK: tears

    /// Each sector there or not, in all ways: an honest tear is dropped, counted, and never refused; what
    /// stood there before makes no difference.
    @Test func anyMissingSectorIsATear() throws {
        let (test, segment, last) = try make(1_900)
        try test.loseNote()
        let whole = try Data(contentsOf: segment)
        let sectors = last.bytes / 512
        #expect(sectors == 5)
        for kept in 0..<(1 << sectors) - 1 {
            for old in [0, 0x5A] as [UInt8] {
                var bytes = whole
                for sector in 0..<sectors where kept & 1 << sector == 0 {
                    let start = last.offset + sector * 512
                    for index in start..<start + 512 { bytes[index] = old }
                }
                try bytes.write(to: segment)
                try test.open()
                #expect(try test.live.nextSequence == 4, "kept \(String(kept, radix: 2))")
                #expect(try test.live.recovery.droppedTornTail == (kept & 1 == 1))
                try test.losePower()
            }
        }
    }

    /// The start after a tear writes the same sequence at the same place, and is cut off too: the sectors of
    /// both attempts are a tear.
    @Test func twoAttemptsAtOnePlaceAreATear() throws {
        let (test, segment, last) = try make(1_900)
        try test.loseNote()
        let first = try Data(contentsOf: segment)
        var torn = first
        for index in last.offset + 4 * 512..<last.offset + 5 * 512 { torn[index] = 0 }
        try torn.write(to: segment)
        try test.open()
        try test.put(2, TestStore.key(9, 2), [UInt8](repeating: 0xB1, count: 1_900))
        try test.commit()
        try test.losePower()
        let second = try Data(contentsOf: segment)
        for taken in 1..<31 {
            var bytes = torn
            for sector in 0..<5 where taken & 1 << sector != 0 {
                let range = last.offset + sector * 512..<last.offset + (sector + 1) * 512
                bytes.replaceSubrange(range, with: second[range])
            }
            try bytes.write(to: segment)
            #expect(refusal(test) == nil, "taken \(String(taken, radix: 2))")
            try test.loseNote()
        }
    }

    /// Of a record that began the next segment, when the next attempt was small enough for the old one.
    @Test func anAttemptThatRolledIsATear() throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        for number in 0..<6 { try test.write(number) }
        try test.put(2, TestStore.key(9, 2), [UInt8](repeating: 0xA7, count: 1_900))
        try test.commit()
        try test.losePower()
        let segment = try test.newestSegment()
        #expect(segment.lastPathComponent == Journal.name(2))
        let whole = try Data(contentsOf: segment)
        try test.edit(segment) { bytes in for index in 1_024..<1_536 { bytes[index] = 0 } }
        try test.open()
        #expect(try test.live.recovery.droppedTornTail)
        try test.write(7)
        try test.reopen()
        #expect(try !test.live.recovery.droppedTornTail, "the journal goes on before it")
        #expect(try test.has(7) && test.live.nextSequence == 8)
        // What is left of it is of no meaning, however it looks.
        test.crash()
        try whole.write(to: segment)
        #expect(refusal(test) == nil)
    }

    // MARK: the note

    /// Removed, emptied, cut at a record's border, zeroed from there on: after a kill each is seen.
    @Test func aShortenedJournalIsRefusedAfterAKill() throws {
        for harm in ["removed", "emptied", "cut", "zeroed", "shortened"] {
            let test = try TestStore(segmentBytes: 4 << 10)
            for number in 0..<10 { try test.write(number) }
            test.crash()
            let segment = try test.newestSegment()
            let records = try test.records(in: segment)
            try #require(records.count == 2, "\(segment.lastPathComponent)")
            switch harm {
            case "removed": try FileManager.default.removeItem(at: segment)
            case "emptied": try Data().write(to: segment)
            case "cut": try test.edit(segment) { $0.removeLast($0.count - records[1].offset) }
            case "zeroed":
                try test.edit(segment) { for index in records[1].offset..<$0.count { $0[index] = 0 } }
            default: try test.edit(segment) { $0.removeLast(512) }
            }
            let found = refusal(test)
            let expected =
                [
                    "removed": "ends at sequence 8, but 10", "emptied": "cut",
                    "zeroed": "ends at sequence 9, but 10",
                ][harm] ?? "cut"
            #expect(found?.contains(expected) ?? false, "\(harm): \(found ?? "opens")")
            // A file that is too short says so by itself.
            try? test.loseNote()
            #expect(
                (refusal(test) != nil) == (harm != "removed" && harm != "zeroed"), "\(harm), without a note")
        }
    }

    /// As long as some setting would make it, but shorter than its records say.
    @Test func aSegmentThatLostItsEnd() throws {
        let test = try TestStore(segmentBytes: 16 << 10)
        for number in 0..<3 { try test.write(number) }
        test.crash()
        try test.edit(test.newestSegment()) { $0.removeLast(512) }
        for _ in 0..<2 {
            #expect(refusal(test)?.contains("cut") ?? false)
            try? test.loseNote()
        }
    }

    /// The next segment is the spare again, as if the one that it became had never been.
    @Test func aSpareInTheNewestSegmentsPlaceIsRefusedAfterAKill() throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        for number in 0..<10 { try test.write(number) }
        test.crash()
        let segment = try test.newestSegment()
        try Data(count: 4 << 10).write(to: segment)
        #expect(refusal(test)?.contains("ends at sequence 8, but 10 was acknowledged") ?? false)
    }

    /// A bound is no bound in another folder, in a later epoch, or when the journal goes beyond it.
    @Test func aBoundThatSaysNothing() throws {
        let test = try TestStore()
        for number in 0..<5 { try test.write(number) }
        test.crash()
        let note = try Data(contentsOf: test.file("crash-note"))
        let other = try TestStore()
        try other.write(0)
        other.crash()
        try note.write(to: other.file("crash-note"))
        #expect(refusal(other) == nil, "another folder's note")

        let segment = try test.newestSegment()
        let last = try #require(try test.records(in: segment).last)
        try test.edit(segment) { bytes in
            for index in last.offset..<last.offset + last.bytes { bytes[index] = 0 }
        }
        #expect(refusal(test)?.contains("5 was acknowledged") ?? false)
        try Data("2\n".utf8).write(to: test.file("epoch"))
        #expect(refusal(test) == nil, "a restore has raised the epoch")
        for writes in [false, true] {
            try Data("2\n".utf8).write(to: test.file("epoch"))
            try test.open()
            // Without a record of the later epoch the note alone knows of it.
            if writes { try test.write(9) }
            test.crash()
            try Data("1\n".utf8).write(to: test.file("epoch"))
            #expect(refusal(test)?.contains("the file `epoch` says 1") ?? false)
        }
    }

    @Test func theBoundIsThereAfterEveryCommitAndStart() throws {
        for mode in [CommitMode.inline, .overlapped] {
            let test = try TestStore(commit: mode)
            let uuid = try DataFolder.readFormat(test.path)
            func bound() throws -> UInt64? { try CrashNote(in: test.path, uuid: uuid).bound?.sequence }
            for number in 0..<5 {
                try test.write(number)
                #expect(try bound() == UInt64(number + 1))
            }
            try test.reopen()
            #expect(try bound() == 5)
            try test.close()
            try test.loseNote()
            try test.open()
            #expect(try bound() == 5, "what a start has shown is promised")
        }
    }

    /// What isn't durable is no bound, though it may be in the file.
    @Test func aFailedSyncIsNoBound() throws {
        for mode in [CommitMode.inline, .overlapped] {
            let test = try TestStore(commit: mode)
            for number in 0..<3 { try test.write(number) }
            try JournalFile.replace(under: test.path, with: .takesWritesAndCannotSync)
            #expect(throws: StoreError.self) { try test.write(3) }
            test.crash()
            let uuid = try DataFolder.readFormat(test.path)
            #expect(try CrashNote(in: test.path, uuid: uuid).bound?.sequence == 3)
            #expect(refusal(test) == nil)
        }
    }

    // MARK: going on without

    /// The flag acts once, says what was lost, and voids what was open; without a need it changes nothing.
    @Test func aLossIsAcceptedOnce() throws {
        for harm in ["rot", "header", "removed", "emptied", "cut", "gap"] {
            let test = try TestStore(segmentBytes: 4 << 10)
            for number in 0..<12 { try test.write(number) }
            test.crash()
            let segment = try test.newestSegment()
            let records = try test.records(in: segment)
            var least: UInt64 = 1
            switch harm {
            case "rot": try test.edit(segment) { $0[records[0].offset + 140] ^= 1 }
            case "header": try test.edit(segment) { $0[records[0].offset + 40] ^= 1 }
            case "removed": try FileManager.default.removeItem(at: segment)
            case "emptied": try Data().write(to: segment)
            case "cut": try test.edit(segment) { $0.removeLast($0.count - records[0].bytes) }
            default: try FileManager.default.removeItem(at: test.file("journal/" + Journal.name(1)))
            }
            if harm == "gap" {
                // Nothing is left: the position's own segment.
                #expect(refusal(test)?.contains("NOT A LOSS") ?? false)
                continue
            }
            #expect(refusal(test) != nil)
            test.options.acceptLostRequests = true
            try test.open()
            least = 12 - (try test.live.nextSequence - 1)
            #expect(
                try test.live.recovery.loss?.batches == least && test.live.recovery.lostBatches == least,
                "\(harm)")
            #expect(try test.live.epoch == 2)
            // Cut off before its first record: the next start, without the flag, makes the event.
            test.options.acceptLostRequests = false
            try test.reopen()
            #expect(try test.live.recovery.loss == nil && test.live.recovery.lostBatches == least, "\(harm)")
            try test.write(20)
            for flag in [false, true] {
                test.options.acceptLostRequests = flag
                try test.reopen()
                #expect(try test.live.recovery.loss == nil && test.live.recovery.lostBatches == 0, "\(harm)")
                #expect(try test.live.epoch == 2)
                #expect(try test.has(20) && test.has(3))
            }
            try test.checkpoint()
            try test.reopen()
            #expect(try test.has(20))
        }
    }

    /// A hole in the middle: what stands behind it goes, too, and never comes back.
    @Test func whatStandsBehindAHoleGoesWithIt() throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        for number in 0..<20 { try test.write(number) }
        test.crash()
        try test.edit(test.file("journal/" + Journal.name(1))) { $0[512 * 3 + 140] ^= 1 }
        #expect(refusal(test)?.contains("record 4") ?? false)
        test.options.acceptLostRequests = true
        try test.open()
        #expect(try test.live.recovery.loss?.batches == 17)
        #expect(try test.has(2) && !test.has(3) && !test.has(12))
        test.options.acceptLostRequests = false
        for number in 30..<50 {
            try test.write(number)
            try test.reopen()
            #expect(try test.has(number) && test.live.recovery.loss == nil)
        }
        #expect(try !test.has(12))
    }

    // MARK: sizes

    /// A segment made under another setting is as long as it was made.
    @Test func anotherSegmentSizeIsAllowed() throws {
        let test = try TestStore(segmentBytes: 16 << 10)
        for number in 0..<5 { try test.write(number) }
        for bytes in [4 << 10, 32 << 10, 8 << 10] {
            test.crash()
            test.options.segmentBytes = bytes
            try test.open()
            for number in 0..<30 { try test.write(bytes + number) }
        }
        try test.reopen()
        #expect(try test.has((8 << 10) + 29) && test.has(0))
    }

    /// The record's length on disk is what its words and stamps need, and a payload of the largest size fits.
    @Test func paddingHoldsWordsAndStamps() {
        for payload in [0, 1, 4, 352, 364, 365, 368, 1_000, 65_536, JournalRecord.maxPayloadBytes] {
            let (content, padded) = (JournalRecord.contentBytes(payload), JournalRecord.padded(payload))
            #expect(
                padded % 512 == 0 && padded / 512 * 508 >= content && (padded / 512 - 1) * 508 < content,
                "\(payload)")
            #expect(JournalRecord.payloadFitting(padded) >= payload)
            #expect(JournalRecord.padded(JournalRecord.payloadFitting(padded)) == padded)
        }
    }
}
