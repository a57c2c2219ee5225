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

        /// A process that dies while it decides `digest`.
        func crash(_ digest: UInt64, kind: UInt16 = 0x12, now: UInt64 = 1_000) throws {
            let note = try CrashNote(in: path, now: now)
            #expect(note.enter(kind: kind, digest: (digest, 0)))
        }
    }

    @Test func twoCrashesAreRefused() throws {
        let folder = try Folder()
        try folder.crash(7)
        let once = try CrashNote(in: folder.path, now: 1_000)
        #expect((once.remembered, once.quarantined) == (1, 0) && once.newlyQuarantined == nil)
        // A start alone, and requests that were decided, count nothing.
        #expect(once.enter(kind: 0x12, digest: (8, 0)))
        once.leave()
        try folder.crash(7)
        let twice = try CrashNote(in: folder.path, now: 1_000)
        #expect((twice.remembered, twice.quarantined) == (1, 1) && twice.newlyQuarantined == 0x12)
        #expect(!twice.enter(kind: 0x12, digest: (7, 0)))
        #expect(twice.enter(kind: 0x11, digest: (7, 0)), "another opcode")
        twice.leave()
        #expect(twice.enter(kind: 0x12, digest: (7, 1)), "another digest")
        twice.leave()
        #expect(try CrashNote(in: folder.path, now: 1_000).newlyQuarantined == nil, "news once")
    }

    @Test func aDayLaterItIsForgotten() throws {
        let folder = try Folder()
        try folder.crash(7, now: 1_000)
        try folder.crash(7, now: 2_000)
        #expect(try CrashNote(in: folder.path, now: 3_000).quarantined == 1)
        #expect(try CrashNote(in: folder.path, now: 2_999 + CrashNote.keepMs).quarantined == 1)
        #expect(try CrashNote(in: folder.path, now: 3_000 + CrashNote.keepMs).remembered == 0)
    }

    @Test func theListIsBoundedAndKeepsTheWorst() throws {
        let folder = try Folder()
        try folder.crash(1)
        try folder.crash(1)
        for digest in 2..<UInt64(CrashNote.maxEntries + 20) { try folder.crash(digest, now: 2_000 + digest) }
        let note = try CrashNote(in: folder.path, now: 3_000)
        #expect(note.remembered == CrashNote.maxEntries && note.quarantined == 1)
        #expect(!note.enter(kind: 0x12, digest: (1, 0)))
    }

    /// It guards availability alone: a damaged one is dropped, never trusted, never in the way of a start.
    @Test func aDamagedOneIsDropped() throws {
        let folder = try Folder()
        try folder.crash(1)
        try folder.crash(1)
        _ = try CrashNote(in: folder.path, now: 1_000)
        let file = URL(filePath: folder.path + "/crash-note")
        let whole = try Data(contentsOf: file)
        for offset in [0, 5, 33, 37, 41, 58, 4_000] {
            var bytes = whole
            bytes[offset] ^= 4
            try bytes.write(to: file)
            #expect(try CrashNote(in: folder.path, now: 1_000).remembered == 0, "byte \(offset)")
        }
        try whole.prefix(100).write(to: file)
        #expect(try CrashNote(in: folder.path, now: 1_000).remembered == 0)
        try whole.write(to: file)
        #expect(try CrashNote(in: folder.path, now: 1_000).quarantined == 1)
    }
}
