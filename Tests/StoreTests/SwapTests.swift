import Foundation
import Testing

@testable import Store

/// What authenticates in one place doesn't in another: values are bound to their key and table, records to their history.
@Suite struct SwapTests {
    @Test func aValueUnderAnotherKeyIsRefused() throws {
        let test = try TestStore()
        for number in 0..<2 { try test.write(number) }
        try test.checkpoint()
        let values = try test.live.environment.values(2)
        try test.live.environment.overwrite(2, TestStore.key(0, 2), values[1])
        try test.reopen()
        #expect(throws: StoreError.self) { try test.read(2, TestStore.key(0, 2)) }
        #expect(throws: StoreError.self) { try test.scan(2) }
        #expect(try test.has(1))
    }

    /// Two tables with keys of one width: a stranger moves a value between them.
    @Test func aValueInAnotherTableIsRefused() throws {
        let test = try TestStore()
        test.options.tables[2].keyBytes = 17
        test.crash()
        try test.open()
        let key = TestStore.key(7, 1)
        try test.put(1, key, [1])
        try test.put(2, key, [2])
        try test.commit()
        try test.checkpoint()
        let values = try test.live.environment.values(1)
        try test.live.environment.overwrite(2, key, values[0])
        try test.reopen()
        #expect(try test.read(1, key) == [1])
        #expect(throws: StoreError.self) { try test.read(2, key) }
    }

    /// A record of the right sequence, segment and place, but of a history that was given up: its predecessor is another one.
    @Test func aRecordOfAnotherHistoryIsRefused() throws {
        let test = try TestStore()
        for number in 0..<3 { try test.write(number) }
        test.crash()
        let segment = try test.newestSegment()
        let before = try Data(contentsOf: segment)
        try test.open()
        for number in [30, 40] { try test.write(number) }
        test.crash()
        let abandoned = Array(try Data(contentsOf: segment))
        let places = try test.records(in: segment)
        // As a hand might: the old file comes back without the note, and the server goes on from it.
        try before.write(to: segment)
        try test.loseNote()
        try test.open()
        try test.write(31)
        test.crash()
        try test.edit(segment) { bytes in
            bytes.replaceSubrange(
                places[4].offset..<places[4].offset + places[4].bytes,
                with: abandoned[places[4].offset...].prefix(places[4].bytes))
        }
        #expect(throws: StoreError.self) { try test.open() }
    }

    /// The epoch rises with every restore and never falls: a record of a later one means that its file is an old copy.
    @Test(arguments: [false, true]) func anOldEpochIsRefused(_ isFolded: Bool) throws {
        let test = try TestStore()
        test.crash()
        try Data("2\n".utf8).write(to: test.file("epoch"))
        try test.open()
        try test.write(1)
        if isFolded { try test.checkpoint() }
        test.crash()
        try Data("1\n".utf8).write(to: test.file("epoch"))
        #expect(throws: StoreError.self) { try test.open() }
        try Data("2\n".utf8).write(to: test.file("epoch"))
        try test.open()
        #expect(try test.has(1))
    }

    /// Every field of LMDB's position is the journal record's: none can lead past a record.
    @Test(arguments: ["sequence", "next", "tag", "clock"]) func aChangedPositionIsRefused(_ field: String)
        throws
    {
        let test = try TestStore()
        for number in 0..<3 { try test.write(number) }
        try test.checkpoint()
        for number in 3..<5 { try test.write(number) }
        var position = try test.live.environment.storedPosition()
        switch field {
        case "sequence": position.sequence -= 1
        case "next": position.next += 512
        case "tag": position.tag.1 ^= 1
        default: position.clock.engineMs += 1
        }
        try test.live.environment.overwrite(position)
        test.crash()
        #expect(throws: StoreError.self) { try test.open() }
    }

    @Test(arguments: [0o701, 0o710, 0o750, 0o777]) func aFolderForOthersIsRefused(_ mode: Int) throws {
        let test = try TestStore()
        test.crash()
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: test.path)
        #expect(throws: StoreError.notPrivate(path: test.path, detail: "has mode 0\(String(mode, radix: 8))"))
        {
            try test.open()
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: test.path)
        try test.open()
    }
}
