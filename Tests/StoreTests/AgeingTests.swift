import CFaultDisk
import CLMDB
import Foundation
import Glibc
import Testing

@testable import Store

/// What years, other programs and tired disks do to a folder that nothing is wrong with.
@Suite(.serialized) struct AgeingTests {
    /// The file `lock` can be made anew; the folder can't.
    @Test func aLockThatWasRemovedStillHolds() throws {
        let test = try TestStore()
        #expect(unlink(test.path + "/lock") == 0)
        let file = try FileDescriptor(test.path + "/lock", O_RDWR | O_CREAT)
        #expect(throws: StoreError.locked(path: test.path)) {
            _ = try Store(opening: test.options, master: TestStore.master())
        }
        _ = consume file
        test.crash()
        try test.open()
    }

    /// Another process that reads the database, and is killed at it; its place is the parent's to free.
    /// False: there was no place.
    private func killedReader(_ test: TestStore) -> Bool {
        defer { free(Self.readerPath) }
        let ended = withUnsafeMutablePointer(to: &Self.readerPath) { path in
            path.pointee = strdup(test.path + "/lmdb")
            return fault_disk_in_child(
                { path in
                    var env: OpaquePointer?
                    var transaction: OpaquePointer?
                    guard let path = path?.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self).pointee,
                        mdb_env_create(&env) == 0, mdb_env_set_maxdbs(env, 40) == 0,
                        mdb_env_open(env, path, UInt32(MDB_RDONLY | MDB_NOTLS), 0o600) == 0,
                        mdb_txn_begin(env, nil, UInt32(MDB_RDONLY), &transaction) == 0
                    else { return 1 }
                    kill(getpid(), SIGKILL)
                    return 2
                }, path)
        }
        return ended == -SIGKILL
    }
    nonisolated(unsafe) private static var readerPath: UnsafeMutablePointer<CChar>?

    /// Its lag is told; when it grows the place is freed, and the file's pages are used again.
    @Test func aKilledReaderIsNotWaitedFor() throws {
        let test = try TestStore()
        func churn(_ checkpoints: Int) throws -> UInt64 {
            for round in 0..<checkpoints {
                for number in 0..<40 { try test.put(2, TestStore.key(number, 2), [UInt8(round % 251)]) }
                try test.commit()
                try test.checkpoint()
            }
            return try test.live.statistics.file.filePages
        }
        let before = try churn(20)
        #expect(killedReader(test))
        _ = try churn(20)
        let file = try test.live.statistics.file
        #expect(file.readerLag >= 20 && file.oldestReaderPID > 0 && file.oldestReaderPID != getpid(), "\(file)")
        #expect(file.freePages < 60, "what it may still see isn't free: \(file)")
        let most = try churn(280)
        #expect(try test.live.statistics.file.readerLag < 20)
        let after = try churn(400)
        #expect(after <= most, "\(before), \(most), then \(after) pages")
    }

    /// Dead readers fill LMDB's table: a start and a checkpoint go on.
    @Test func killedReadersTakeNoPlaces() throws {
        let test = try TestStore()
        var readers = 0
        while readers < 1_000, killedReader(test) { readers += 1 }
        #expect((100..<126).contains(readers), "\(readers)")
        try test.write(1)
        try test.checkpoint()
        let reader = try test.live.environment.begin(readOnly: true)
        mdb_txn_abort(reader)
        try test.reopen()
        #expect(try test.has(1))
    }

    /// Living ones too: a checkpoint needs no new place, and who does need one says what to do.
    @Test func livingReadersCannotEndTheStore() throws {
        let test = try TestStore()
        var readers: [OpaquePointer] = []
        let full = #expect(throws: StoreError.self) {
            while readers.count < 1_000 { readers.append(try test.live.environment.begin(readOnly: true)) }
        }
        #expect(full == .readersFull(path: test.path + "/lmdb"))
        #expect(full?.description.contains("fuser \(test.path)/lmdb/lock.mdb") == true)
        try test.write(1)
        try test.checkpoint()
        for reader in readers { mdb_txn_abort(reader) }
        try test.reopen()
        #expect(try test.has(1))
    }

    /// A server that is killed before each checkpoint's end doesn't replay more and more: a start folds what was much.
    @Test func whatWasMuchToReplayIsFoldedAtTheStart() throws {
        let test = try TestStore(segmentBytes: 1 << 20, overlayRecords: 20_000)
        func write(_ keys: Range<Int>) throws {
            for number in keys {
                try test.put(2, TestStore.key(number, 2), Array("value \(number)".utf8))
                if number % 500 == 0 { try test.commit() }
            }
            try test.commit()
        }
        try write(0..<Replay.muchKeys - 1)
        try test.reopen()
        let records = try test.live.recovery.replayed
        #expect(records > 0)
        try test.reopen()
        #expect(try test.live.recovery.replayed == records, "little is replayed again")
        try write(Replay.muchKeys..<Replay.muchKeys + 2)
        try test.reopen()
        #expect(try test.live.recovery.replayed > records)
        try test.reopen()
        #expect(try test.live.recovery.replayed == 0)
        for number in 0..<Replay.muchKeys - 1 where try !test.has(number) { Issue.record("\(number) is gone") }
    }

    /// `auto` goes on looking at the disk, and changes its mind when the answer is clear.
    @Test func autoLooksAgain() {
        var times = SyncTimes()
        func feed(_ nanos: (Int) -> UInt64, from mode: CommitMode) -> [CommitMode] {
            var (mode, modes) = (mode, [CommitMode]())
            for index in 1...SyncTimes.between {
                mode = times.note(nanos(index), now: mode)
                if modes.last != mode { modes.append(mode) }
            }
            return modes
        }
        #expect(feed({ _ in 2_000_000 }, from: .adaptive) == [.adaptive, .overlapped])
        // A third of slow ones is a busy moment.
        #expect(feed({ $0 % 3 == 0 ? 9_000_000 : 90_000 }, from: .adaptive) == [.adaptive])
        #expect(feed({ $0 % 3 == 0 ? 9_000_000 : 90_000 }, from: .overlapped) == [.overlapped, .adaptive])
        for mode in [CommitMode.adaptive, .overlapped] {
            #expect(feed({ _ in 450_000 }, from: mode) == [mode])
            #expect(feed({ _ in 550_000 }, from: mode) == [mode])
        }
    }

    @Test func autoChangesItsModeWhileItRuns() throws {
        let test = try TestStore(commit: .auto)
        try test.live.commitMode = .overlapped
        let start = try test.live.commitMode
        // On a disk of memory, or any that is quick, the first look of a running store ends it.
        for number in 0..<SyncTimes.between * 2 { try test.write(number % 50) }
        let mean = try test.live.statistics.syncNanos / UInt64(SyncTimes.between * 2)
        if mean < SyncTimes.quick / 2 { #expect(try test.live.commitMode == .adaptive, "\(start), mean \(mean) ns") }
    }

    /// The map fills: new challenges stop first, what their shoppers still need goes on, and the journal's time to the end.
    @Test func aFullMap() throws {
        let test = try TestStore()
        let map = try test.live.statistics.file.mapPages
        #expect(map == UInt64(test.options.mapBytes / 4_096))
        for (percent, sends, writes) in [(74, true, true), (76, false, true), (94, false, true), (96, false, false)] {
            try test.live.statistics.file.filePages = map * UInt64(percent) / 100
            try test.live.statistics.file.freePages = 0
            #expect(try test.live.canAcceptSends == sends, "\(percent) %")
            #expect(try test.live.canAccept == writes, "\(percent) %")
            #expect(try test.live.canCommit)
        }
    }

    /// A hand passes any table in its half day, with a checkpoint a second.
    @Test(arguments: [0, 1_000, 50_000_000, 400_000_000, 4_000_000_000])
    func aHandKeepsItsHalfDay(_ rows: Int) {
        let checkpoints = Int(Sweeper.passMs / 1_000)
        #expect(Sweeper.quota(rows: rows) * checkpoints >= rows)
        #expect(Sweeper.quota(rows: rows) >= 2_048)
    }
}
