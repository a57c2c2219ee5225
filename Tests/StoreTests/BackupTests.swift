import CFaultDisk
import Foundation
import Glibc
import LibCrypto
import Synchronization
import Testing

@testable import Store

/// A backup of a store that goes on writing holds a state that was acknowledged while it was made, whole; a
/// restore makes a folder of it under a new epoch, or nothing.
@Suite(.serialized) struct BackupTests {
    private static let wallMs: UInt64 = 1_800_000_000_000

    private func backup(_ test: TestStore, _ name: String = "backup") throws -> Backup {
        var backup = Backup(of: test.path, to: test.root.path + "/" + name, bytesPerSecond: 1 << 30)
        backup.environment = try test.live.environment
        return backup
    }

    private func options(_ test: TestStore, _ name: String) -> StoreOptions {
        var options = test.options
        options.path = test.root.path + "/" + name
        return options
    }

    @discardableResult
    private func restore(
        _ test: TestStore, from: String = "backup", to: String = "restored", key: UInt8 = 7,
        wallMs: UInt64 = wallMs
    ) throws -> Restore.Report {
        try Restore(from: test.root.path + "/" + from, options: options(test, to)).run(
            master: TestStore.master(key), wallMs: wallMs)
    }

    /// A restored folder, open.
    private func opened(_ test: TestStore, _ name: String = "restored") throws -> TestStore {
        let other = try TestStore()
        other.crash()
        other.options.path = test.root.path + "/" + name
        try other.open()
        return other
    }

    private func names(_ test: TestStore) throws -> [String] { try FileSystem.names(in: test.root.path) }

    /// A last record that has rotted since looks like one that is being written: the crash note knows better.
    @Test func anEndThatIsGone() throws {
        let test = try TestStore()
        for number in 0..<5 { try test.write(number) }
        let end = try test.live.journal.position
        _ = try backup(test).run()
        try test.edit(test.file("journal/" + Journal.name(end.segment))) { $0[Int(end.offset) + 140] ^= 1 }
        #expect(throws: StoreError.damaged(
            path: test.path + "/journal",
            detail: "it ends at record \(end.sequence - 1), and \(end.sequence) was acknowledged")
        ) { try backup(test, "second").run() }
        #expect(try names(test).sorted() == ["backup", "data"])
    }

    /// A restore of a folder whose end is gone says so: its start would have refused.
    @Test func aRestoreOfWhatIsLeft() throws {
        let test = try TestStore()
        for number in 0..<5 { try test.write(number) }
        let end = try test.live.journal.position
        test.crash()
        try test.edit(test.file("journal/" + Journal.name(end.segment))) { bytes in
            for index in Int(end.offset)..<Int(end.next) { bytes[index] = 0 }
        }
        // The copy has no crash note, so it opens.
        let report = try restore(test, from: "data")
        #expect(report.sequence == end.sequence - 1 && report.lostBatches == 1)
    }

    /// Neither stands in what it is a copy of.
    @Test func nothingIsMadeWithinItsSource() throws {
        let test = try TestStore()
        try test.write(1)
        for name in ["data/in", "data/journal/0000000000000002.seg", "data/lmdb/in/"] {
            #expect(throws: StoreError.nested(path: test.root.path + "/" + name, within: test.path)) {
                try backup(test, name).run()
            }
        }
        _ = try backup(test).run()
        #expect(throws: StoreError.self) { try restore(test, to: "backup/in") }
        #expect(try FileSystem.names(in: test.root.path + "/backup").contains("in") == false)
        try test.reopen()
    }

    /// What stands in the database, in a checkpoint's later transactions alone, and in the journal alone.
    @Test func allOfOneState() throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        for number in 0..<60 { try test.write(number) }
        try test.checkpoint()
        for number in 0..<10 { try test.delete(2, TestStore.key(number, 2)) }
        try test.commit()
        for number in 60..<90 { try test.write(number) }
        let report = try backup(test).run()
        #expect(report.sequence == 91 && report.epoch == 1)
        // Behind the backup.
        try test.write(90)
        try test.delete(2, TestStore.key(20, 2))
        try test.commit()
        try test.checkpoint()
        let restored = try restore(test)
        #expect(restored.sequence == 91 && restored.oldEpoch == 1 && restored.epoch == 1_800_000_000)
        #expect(restored.clock == report.clock && restored.rows == [0, 0, 80] && !restored.droppedTornTail)
        let other = try opened(test)
        for number in 0..<100 { #expect(try other.has(number) == (10..<90).contains(number), "\(number)") }
        #expect(try other.live.epoch == 1_800_000_000)
        #expect(try other.live.recovery.replayed == 0, "the restore made a checkpoint")
        try other.write(200)
        try other.reopen()
        #expect(try other.has(200) && other.has(11))
        #expect(try names(test) == ["backup", "data", "restored"], "nothing is left over")
    }

    @Test func aFolderThatWasNeverServed() throws {
        let test = try TestStore()
        test.crash()
        let path = test.root.path + "/new"
        try Store.create(at: path, master: TestStore.master())
        let report = try Backup(of: path, to: test.root.path + "/backup").run()
        #expect(report.sequence == 0)
        #expect(try restore(test).clock == nil)
        try opened(test).write(1)
    }

    /// Rows of a checkpoint that isn't at its end are newer than the position beside them: the journal that
    /// goes with them must be copied, at each of the transactions.
    @Test(arguments: 1...4) func betweenTwoTransactionsOfACheckpoint(_ transaction: Int) throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        for number in 0..<30 { try test.write(number) }
        try test.checkpoint()
        for number in 0..<30 { try test.put(2, TestStore.key(number, 2), Array("value \(number + 1)".utf8)) }
        try test.commit()
        for number in 30..<40 { try test.write(number) }
        let checkpointer = try test.live.checkpointer
        checkpointer.keysPerTransaction = 8
        checkpointer.pace = nil
        let gate = CheckpointTests.Gate()
        let met = Atomic(0)
        checkpointer.cutsOff = { step in
            if case .keysCommitted = step, met.add(1, ordering: .relaxed).newValue == transaction {
                gate.hold()
            }
            return false
        }
        try test.live.maintain(now: .max)
        gate.awaitReached()
        try backup(test).run()
        gate.open()
        try test.checkpoint()
        try restore(test)
        let other = try opened(test)
        #expect(try other.scan(2).count == 40)
        for number in 0..<40 {
            let value = number < 30 ? "value \(number + 1)" : "value \(number)"
            #expect(try other.read(2, TestStore.key(number, 2)) == Array(value.utf8), "\(number)")
        }
    }

    /// Commits, deletions and checkpoints of several transactions run on; segments are recycled. What each
    /// backup holds is the state after one commit between its start and its end, exactly.
    @Test(arguments: [CommitMode.inline, .overlapped]) func underLoad(_ mode: CommitMode) throws {
        let test = try TestStore(commit: mode, segmentBytes: 16 << 10, checkpointMs: 10)
        try test.live.checkpointer.keysPerTransaction = 5
        try test.live.checkpointer.pace = nil
        let acknowledged = Atomic(0)
        let isOver = Atomic(false)
        let made = Mutex<[(name: String, range: ClosedRange<Int>)]>([])
        let failure = Mutex<(any Error)?>(nil)
        let source = Handoff(
            value: (path: test.path, root: test.root.path, environment: try test.live.environment))
        let thread = Thread {
            do {
                for index in 0..<8 {
                    let (path, root, environment) = source.value
                    var backup = Backup(of: path, to: root + "/b\(index)", bytesPerSecond: 20 << 20)
                    backup.environment = environment
                    while acknowledged.load(ordering: .acquiring) < 150 * index { usleep(500) }
                    let start = acknowledged.load(ordering: .acquiring)
                    try backup.run()
                    // One more may be in the journal, and not yet counted.
                    made.withLock {
                        $0.append(("b\(index)", start...acknowledged.load(ordering: .acquiring) + 1))
                    }
                }
            } catch { failure.withLock { $0 = error } }
            isOver.store(true, ordering: .releasing)
        }
        thread.start()
        var number = 0
        while !isOver.load(ordering: .acquiring), number < 200_000 {
            number += 1
            try test.put(0, TestStore.key(0, 0), Array("\(number)".utf8))
            try test.put(2, TestStore.key(number, 2), Array("value \(number)".utf8))
            if number > 40 { try test.delete(2, TestStore.key(number - 40, 2)) }
            try test.commit()
            acknowledged.store(number, ordering: .releasing)
            try test.live.maintain(now: test.engineMs)
        }
        while !isOver.load(ordering: .acquiring) { usleep(1_000) }
        try failure.withLock { if let error = $0 { throw error } }
        #expect(try test.live.statistics.checkpoints > 3)
        for (name, range) in made.withLock({ $0 }) {
            try restore(test, from: name, to: "r-" + name)
            let other = try opened(test, "r-" + name)
            let count =
                try Int(String(decoding: other.read(0, TestStore.key(0, 0)) ?? [], as: UTF8.self)) ?? 0
            #expect(range.contains(count), "\(name): \(count) isn't in \(range)")
            let there = try other.scan(2).map { String(decoding: $0.value, as: UTF8.self) }
            #expect(
                there == (max(1, count - 39)...max(1, count)).filter { _ in count > 0 }.map { "value \($0)" },
                "\(name)")
            other.crash()
        }
    }

    /// The server's later transactions free pages of the snapshot; none may be used again before it is copied.
    @Test func pagesOfTheSnapshotStay() throws {
        let test = try TestStore(segmentBytes: 4 << 20)
        for number in 0..<300 { try test.write(number) }
        try test.checkpoint()
        var backup = try backup(test)
        backup.onSnapshot = {
            for round in 1...8 {
                for number in 0..<150 { try test.put(2, TestStore.key(number, 2), [UInt8(round)]) }
                try test.commit()
                try test.checkpoint()
            }
        }
        try backup.run()
        try restore(test)
        let other = try opened(test)
        for number in 0..<300 {
            let value = number < 150 ? [8] : Array("value \(number)".utf8)
            #expect(try other.read(2, TestStore.key(number, 2)) == value, "\(number)")
        }
    }

    /// Segments used again between the snapshot and the copy of the journal: begun anew, not short.
    @Test func recycledSegmentsAreSeen() throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        for number in 0..<30 { try test.write(number) }
        try test.checkpoint()
        try test.write(30)
        var tries = 0
        var backup = try backup(test)
        backup.onSnapshot = {
            tries += 1
            guard tries <= 2 else { return }
            for number in 0..<60 { try test.write(tries * 100 + number) }
            try test.checkpoint()
            for number in 60..<90 { try test.write(tries * 100 + number) }
        }
        let report = try backup.run()
        #expect(tries == 3)
        #expect(try report.sequence == test.live.syncedSequence)
        try restore(test)
        let other = try opened(test)
        for number in [0, 30, 100, 189, 200, 289] { #expect(try other.has(number), "\(number)") }
    }

    /// A start while the journal is copied: keys that it dropped or added would be missing.
    @Test func anotherStartIsSeen() throws {
        let test = try TestStore()
        for number in 0..<30 { try test.write(number) }
        test.crash()
        var tries = 0
        var backup = Backup(of: test.path, to: test.root.path + "/backup")
        let keyring = test.file("keyring")
        let old = try Data(contentsOf: keyring)
        backup.onSnapshot = {
            tries += 1
            if tries == 1 { try (old + Data(repeating: 0, count: 72)).write(to: keyring) }
            if tries == 2 { try old.write(to: keyring) }
        }
        try backup.run()
        #expect(tries == 3)
        try restore(test)
        #expect(try opened(test).has(29))
    }

    @Test func aSourceThatIsNeverStillIsToldSo() throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        try test.write(0)
        var number = 1
        var backup = try backup(test)
        backup.onSnapshot = {
            for _ in 0..<9 {
                try test.write(number)
                number += 1
            }
            try test.checkpoint()
        }
        #expect(throws: StoreError.restless(path: test.path, tries: 50)) { try backup.run() }
        #expect(try names(test) == ["data"])
    }

    @Test func aDamagedJournalIsNotCopiedShort() throws {
        let test = try TestStore()
        for number in 0..<30 { try test.write(number) }
        let segment = try test.newestSegment()
        let records = try test.records(in: segment)
        let bad = records[records.count - 3]
        try test.edit(segment) { $0[bad.offset + 130] ^= 4 }
        #expect {
            try backup(test).run()
        } throws: { error in
            if case StoreError.damaged(_, let detail) = error { detail.contains("a gap") } else { false }
        }
        #expect(try names(test) == ["data"])
    }

    // MARK: restore

    @Test func eachRestoreHasAnEpochOfItsOwn() throws {
        let test = try TestStore()
        try test.write(1)
        try backup(test).run()
        #expect(try restore(test, to: "r1", wallMs: 0).epoch == 2, "a clock that stands still")
        #expect(try restore(test, to: "r2", wallMs: 5_000).epoch == 5)
        // By the real clock, the second of the epoch is over when the restore is.
        let now = UInt64(Date().timeIntervalSince1970 * 1_000)
        let epoch = try restore(test, to: "r3", wallMs: now).epoch
        #expect(UInt64(Date().timeIntervalSince1970) > UInt64(epoch) && UInt64(epoch) >= now / 1_000)
        // Of a folder that was restored already.
        #expect(try restore(test, from: "r3", to: "r4", wallMs: 0).epoch == epoch + 1)
        try FileSystem.replace(test.root.path + "/r3/epoch", with: Array("4294967295\n".utf8))
        #expect(throws: StoreError.self) { try restore(test, from: "r3", to: "r5") }
    }

    @Test func whatIsRefused() throws {
        let test = try TestStore()
        try test.write(1)
        try backup(test).run()
        #expect(throws: StoreError.alreadyExists(path: test.root.path + "/backup")) { try backup(test).run() }
        #expect(throws: StoreError.alreadyExists(path: test.path)) { try restore(test, to: "data") }
        #expect(throws: StoreError.locked(path: test.path)) { try restore(test, from: "data") }
        #expect(throws: StoreError.locked(path: test.path)) {
            try Upgrade(options: test.options).run(master: TestStore.master())
        }
        #expect(throws: StoreError.notADataFolder(path: test.root.path + "/none")) {
            try restore(test, from: "none")
        }
        #expect {
            try restore(test, key: 8)
        } throws: { if case StoreError.wrongMasterKey = $0 { true } else { false } }
        #expect(throws: StoreError.isBackup(path: test.root.path + "/backup")) {
            _ = try Store(opening: options(test, "backup"), master: TestStore.master())
        }
        #expect(throws: StoreError.isBackup(path: test.root.path + "/backup")) {
            _ = try Backup(of: test.root.path + "/backup", to: test.root.path + "/again").run()
        }
        try FileSystem.replace(test.root.path + "/backup/backup", with: Array("otpd-backup 2\n".utf8))
        #expect(throws: StoreError.newerFormat(path: test.root.path + "/backup", found: "otpd-backup 2")) {
            try restore(test)
        }
        #expect(try names(test) == ["backup", "data"], "nothing is left over")
    }

    /// A plain copy, as administrators make them of a stopped server.
    @Test func aPlainCopy() throws {
        let test = try TestStore()
        for number in 0..<20 { try test.write(number) }
        test.crash()
        try FileManager.default.copyItem(atPath: test.path, toPath: test.root.path + "/copy")
        let report = try restore(test, from: "copy")
        #expect(report.sequence == 20 && report.epoch > 1)
        #expect(try opened(test).has(19))
    }

    /// Any byte of any file.
    @Test func damageIsFound() throws {
        let test = try TestStore()
        for number in 0..<50 { try test.write(number) }
        try test.checkpoint()
        try test.write(50)
        try backup(test).run()
        let root = test.root.path + "/backup/"
        let segment = try "journal/" + #require(FileSystem.names(in: root + "journal").first)
        let files = [
            "backup", "epoch", "keyring", "store-format", "SHA256SUMS", BackupFiles.database, segment,
        ]
        for file in files {
            let whole = try FileSystem.contents(root + file)
            for _ in 0..<8 {
                var bytes = whole
                bytes[.random(in: bytes.indices)] ^= 1 << UInt8.random(in: 0..<8)
                try Data(bytes).write(to: URL(filePath: root + file))
                #expect(throws: StoreError.self, "\(file)") { try restore(test) }
            }
            try FileSystem.remove(root + file)
            #expect(throws: StoreError.self, "without \(file)") { try restore(test) }
            try Data(whole).write(to: URL(filePath: root + file))
        }
        try Data().write(to: URL(filePath: root + "journal/0000000000000009.seg"))
        #expect(throws: StoreError.self, "one segment more") { try restore(test) }
        try FileSystem.remove(root + "journal/0000000000000009.seg")
        #expect(try names(test) == ["backup", "data"], "nothing is left over")
        try restore(test)
        #expect(try opened(test).has(50))
    }

    // MARK: ends

    @Test func cancelledInTheMiddle() throws {
        let test = try TestStore()
        for number in 0..<200 { try test.write(number) }
        try test.checkpoint()
        var isCancelled = false
        let backup = try backup(test)
        #expect(throws: StoreError.self) {
            try backup.run(isCancelled: { isCancelled }, progress: { _ in isCancelled = true })
        }
        #expect(throws: StoreError.self) { try backup.run(isCancelled: { true }) }
        #expect(try names(test) == ["data"])
        try backup.run()
        #expect(throws: StoreError.cancelled(path: test.root.path + "/r")) {
            try Restore(from: test.root.path + "/backup", options: options(test, "r")).run(
                master: TestStore.master(), wallMs: 0, isCancelled: { true })
        }
        #expect(try names(test) == ["backup", "data"])
    }

    /// What killed backups left goes, under whatever name; what is being made, and what isn't a backup's,
    /// stays.
    @Test func leftOversGo() throws {
        let test = try TestStore()
        try test.write(1)
        let gone = 4_194_999
        for (name, file) in [
            ("backup.new-\(gone)", "x"), ("monday.new-\(gone)", "unfinished"),
            ("tuesday.new-\(gone)", "backup"),
            ("wednesday.new-\(gone)", ""), ("backup.new-1", "unfinished"), ("monday.new-1", "unfinished"),
            ("monday.new-x", "unfinished"), ("others.new-\(gone)", "x"),
        ] {
            try FileSystem.makeFolder(test.root.path + "/" + name)
            if !file.isEmpty { try FileSystem.replace(test.root.path + "/" + name + "/" + file, with: []) }
        }
        try backup(test).run()
        #expect(
            try names(test) == [
                "backup", "backup.new-1", "data", "monday.new-1", "monday.new-x", "others.new-\(gone)",
            ])
        #expect(
            try FileSystem.names(in: test.root.path + "/backup")
                == ["SHA256SUMS", "backup", "epoch", "journal", "keyring", "lmdb", "store-format"])
    }

    /// Neither is there, or all of it and durable, wherever the power goes.
    @Test(arguments: [false, true]) func powerCuts(_ restores: Bool) throws {
        let test = try TestStore(segmentBytes: 4 << 10)
        for number in 0..<20 { try test.write(number) }
        test.crash()
        let made = test.root.path + "/made"
        if restores { try Backup(of: test.path, to: test.root.path + "/b").run() }
        func make() throws {
            if restores {
                try restore(test, from: "b", to: "made", wallMs: 0)
            } else {
                try Backup(of: test.path, to: made).run()
            }
        }
        defer { fault_disk_stop() }
        fault_disk_watch(test.root.path)
        let before = fault_disk_calls()
        try make()
        let calls = fault_disk_calls() - before
        try FileSystem.removeTree(made)
        // The last ones are those that give it its name.
        let steps = (0..<20).map { $0 * (calls - 6) / 20 } + (calls - 6...calls)
        var whole = 0
        for step in steps {
            // What the cut before left would cost calls more.
            try DataFolder.removeStaging(of: made)
            fault_disk_watch(test.root.path)
            fault_disk_crash_at(fault_disk_calls() + 1 + step)
            do { try make() } catch { #expect(fault_disk_is_off(), "step \(step) of \(calls): \(error)") }
            let isDone = !fault_disk_is_off()
            #expect(isDone == (step == calls), "step \(step) of \(calls)")
            _ = fault_disk_crash(UInt32(isDone ? CRASH_ALL_LOST : CRASH_SUBSET), step)
            fault_disk_stop()
            #expect(!isDone || FileSystem.exists(made), "step \(step): it had ended")
            guard FileSystem.exists(made) else { continue }
            whole += 1
            if !restores { try restore(test, from: "made", wallMs: 0) }
            let other = try opened(test, restores ? "made" : "restored")
            for number in 0..<20 { #expect(try other.has(number), "step \(step): \(number)") }
            #expect(try other.live.epoch == 2)
            other.crash()
            if !restores { try FileSystem.removeTree(test.root.path + "/restored") }
            try FileSystem.removeTree(made)
        }
        #expect(whole > 0 && whole < 8, "\(whole)")
    }

    @Test func aFullDisk() throws {
        let test = try TestStore()
        for number in 0..<200 { try test.write(number) }
        try test.close()
        defer { fault_disk_stop() }
        fault_disk_watch(test.root.path)
        var failures: UInt64 = 0
        while !FileSystem.exists(test.root.path + "/backup") {
            fault_disk_fail(UInt32(FAULT_WRITE), failures + 1, ENOSPC, true)
            defer { fault_disk_mend() }
            do { try Backup(of: test.path, to: test.root.path + "/backup").run() } catch {
                #expect("\(error)".contains("No space left on device"), "write \(failures + 1)")
                #expect(try names(test) == ["data"], "write \(failures + 1)")
                failures += 1
            }
        }
        #expect(failures > 5)
        let staging = try StagingFolder(for: test.root.path + "/x")
        #expect {
            try staging.checkRoom(.max)
        } throws: { if case StoreError.noRoom = $0 { true } else { false } }
        staging.discard()
    }

    @Test func upgradeTellsTheFormats() throws {
        let test = try TestStore()
        for number in 0..<20 { try test.write(number) }
        test.crash()
        let report = try Upgrade(options: test.options).run(master: TestStore.master())
        let formats = Upgrade.Formats(
            store: DataFolder.format, keyring: Keyring.formats.dense, database: LMDBEnvironment.format, journal: nil)
        #expect(report.before == formats)
        #expect(
            report.after.journal == UInt32(JournalRecord.format)
                && report.after.database == LMDBEnvironment.format)
        #expect(report.replayed == 20 && report.sequence == 20)
        #expect(try Upgrade(options: test.options).run(master: TestStore.master()).before == report.after)
        try test.open()
        #expect(try test.live.recovery.replayed == 0)
        #expect(try test.has(19))
    }
}
