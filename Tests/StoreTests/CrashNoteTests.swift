import Foundation
import Testing

@testable import Store

/// Which request was being decided when the process died: counted once a start, bounded, forgotten in time.
@Suite struct CrashNoteTests {
    private final class Folder {
        let path: String
        init() throws {
            let url = FileManager.default.temporaryDirectory.appending(path: "otpd-note-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            path = url.path
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        static let uuid: (UInt64, UInt64) = (1, 2)

        /// As a start makes it.
        func note(now: UInt64 = 1_000, at bound: SyncedBound = .init(sequence: 0, segment: 1, epoch: 1)) throws -> CrashNote {
            let note = try CrashNote(in: path, uuid: Self.uuid)
            try note.begin(at: bound)
            try note.count(now: now)
            return note
        }

        /// A process that dies while it decides `digest`.
        func crash(_ digest: UInt64, kind: UInt16 = 0x12, now: UInt64 = 1_000) throws {
            let note = try note(now: now)
            #expect(note.enter(kind: kind, digest: (digest, 0)))
        }
    }

    @Test func twoCrashesAreRefused() throws {
        let folder = try Folder()
        try folder.crash(7)
        let once = try folder.note(now: 1_000)
        #expect((once.remembered, once.quarantined) == (1, 0) && once.newlyQuarantined == nil)
        // A start alone, and requests that were decided, count nothing.
        #expect(once.enter(kind: 0x12, digest: (8, 0)))
        once.leave()
        try folder.crash(7)
        let twice = try folder.note(now: 1_000)
        #expect((twice.remembered, twice.quarantined) == (1, 1) && twice.newlyQuarantined == 0x12)
        #expect(!twice.enter(kind: 0x12, digest: (7, 0)))
        #expect(twice.enter(kind: 0x11, digest: (7, 0)), "another opcode")
        twice.leave()
        #expect(twice.enter(kind: 0x12, digest: (7, 1)), "another digest")
        twice.leave()
        #expect(try folder.note(now: 1_000).newlyQuarantined == nil, "news once")
    }

    @Test func aDayLaterItIsForgotten() throws {
        let folder = try Folder()
        try folder.crash(7, now: 1_000)
        try folder.crash(7, now: 2_000)
        #expect(try folder.note(now: 3_000).quarantined == 1)
        #expect(try folder.note(now: 2_999 + CrashNote.keepMs).quarantined == 1)
        #expect(try folder.note(now: 3_000 + CrashNote.keepMs).remembered == 0)
    }

    @Test func theListIsBoundedAndKeepsTheWorst() throws {
        let folder = try Folder()
        try folder.crash(1)
        try folder.crash(1)
        for digest in 2..<UInt64(CrashNote.maxEntries + 20) { try folder.crash(digest, now: 2_000 + digest) }
        let note = try folder.note(now: 3_000)
        #expect(note.remembered == CrashNote.maxEntries && note.quarantined == 1)
        #expect(!note.enter(kind: 0x12, digest: (1, 0)))
    }

    /// What it says of requests guards availability alone: a damaged one is dropped, never trusted, never in the way of a start.
    @Test func aDamagedOneIsDropped() throws {
        let folder = try Folder()
        try folder.crash(1)
        try folder.crash(1)
        _ = try folder.note(now: 1_000)
        let file = URL(filePath: folder.path + "/crash-note")
        let whole = try Data(contentsOf: file)
        for offset in [0, 5, 33, 37, 41, 58, 3_000] {
            var bytes = whole
            bytes[offset] ^= 4
            try bytes.write(to: file)
            #expect(try folder.note(now: 1_000).remembered == 0, "byte \(offset)")
        }
        try whole.prefix(100).write(to: file)
        #expect(try folder.note(now: 1_000).remembered == 0)
        try whole.write(to: file)
        #expect(try folder.note(now: 1_000).quarantined == 1)
    }

    // MARK: how far the journal is durable

    private func bound(_ sequence: UInt64, epoch: UInt32 = 1) -> SyncedBound {
        SyncedBound(sequence: sequence, segment: 3, epoch: epoch)
    }

    private func read(_ folder: Folder, _ uuid: (UInt64, UInt64) = Folder.uuid) throws -> SyncedBound? {
        try CrashNote(in: folder.path, uuid: uuid).bound
    }

    @Test func theNewestBoundOutlivesTheProcess() throws {
        let folder = try Folder()
        #expect(try read(folder) == nil)
        for sequence in 1...5 as ClosedRange<UInt64> {
            let note = try folder.note(at: bound(sequence * 10))
            #expect(try read(folder) == bound(sequence * 10), "carried over at a start")
            for step in 1...4 as ClosedRange<UInt64> {
                note.note(bound(sequence * 10 + step))
                #expect(try read(folder) == bound(sequence * 10 + step))
            }
        }
        #expect(try read(folder, (1, 3)) == nil, "another folder's says nothing")
    }

    /// Whatever becomes of one slot, it is dropped, never believed, and the other is read: it is one record older.
    @Test func aTornOrFlippedSlotHidesNothing() throws {
        let folder = try Folder()
        let note = try folder.note()
        note.note(bound(6))
        note.note(bound(7))
        let file = URL(filePath: folder.path + "/crash-note")
        let whole = try Data(contentsOf: file)
        for (start, rest) in [(CrashNote.slotOffsets.0, [6, 7]), (CrashNote.slotOffsets.1, [6, 7])] as [(Int, [UInt64])] {
            for byte in 0..<SyncedBound.bytes {
                for bit in 0..<8 {
                    var bytes = whole
                    bytes[start + byte] ^= 1 << bit
                    try bytes.write(to: file)
                    let found = try #require(try read(folder))
                    #expect(rest.contains(found.sequence) && found == bound(found.sequence), "byte \(byte) of \(start)")
                }
            }
        }
        // Damage in the note's other parts leaves the slots alone.
        var bytes = whole
        bytes[41] ^= 1
        try bytes.write(to: file)
        #expect(try read(folder) == bound(7))
        #expect(try folder.note(at: bound(7)).remembered == 0)
        #expect(try read(folder) == bound(7))
    }

    /// A note of format 1 has no bound; its requests are read.
    @Test func theFirstFormatIsRead() throws {
        let folder = try Folder()
        var bytes = [UInt8](repeating: 0, count: CrashNote.fileBytes)
        bytes.withUnsafeMutableBytes { raw in
            raw.set(0, CrashNote.magic)
            raw.set(4, UInt32(1))
            raw.set(8, UInt16(0x12))
            raw.set(16, UInt64(7))
            raw.set(32, UInt32(1))
            raw.set(CrashNote.headBytes, UInt64(7))
            raw.set(CrashNote.headBytes + 16, UInt16(0x12))
            raw.set(CrashNote.headBytes + 18, UInt16(1))
            raw.set(CrashNote.headBytes + 24, UInt64(900))
            let view = UnsafeRawBufferPointer(raw)
            var crc = CRC32C.update(0, view.slice(0, 8))
            crc = CRC32C.update(crc, view.slice(32, 4))
            raw.set(36, CRC32C.update(crc, view.slice(40, CrashNote.fileBytes - 40)))
        }
        try Data(bytes).write(to: URL(filePath: folder.path + "/crash-note"))
        #expect(try read(folder) == nil)
        // The start is killed before it counts: what was being decided isn't forgotten.
        try CrashNote(in: folder.path, uuid: Folder.uuid).begin(at: bound(3))
        let note = try folder.note(at: bound(3))
        #expect((note.remembered, note.quarantined) == (1, 1) && note.newlyQuarantined == 0x12)
        #expect(try read(folder) == bound(3))
    }
}
