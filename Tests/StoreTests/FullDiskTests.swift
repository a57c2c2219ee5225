import CFaultDisk
import Foundation
import Glibc
import Testing

@testable import Store

/// Calls fail in a checkpoint. ENOSPC before LMDB's meta page is tried again and loses nothing; else it is the end (P6).
@Suite(.serialized) struct FullDiskTests {
    enum Ending { case done, retried, ended }

    /// What LMDB holds, and what the next checkpoint folds in; on a disk that is watched.
    private func filled() throws -> TestStore {
        let test = try TestStore()
        test.crash()
        fault_disk_watch(test.root.path)
        try test.open()
        for number in 0..<20 { try test.write(number) }
        try test.checkpoint()
        // A tree's worth of pages, so that more than one write goes out.
        for number in 20..<400 { try test.write(number) }
        return test
    }

    private func checkpoint(_ test: TestStore) throws -> Ending {
        do {
            try test.checkpoint()
            return .done
        } catch StoreError.io("checkpoint", _, ENOSPC) {
            return .retried
        } catch {
            #expect(throws: StoreError.poisoned, "the store takes no more work") { try test.checkpoint() }
            return .ended
        }
    }

    /// The checkpoint of a filled store, in which the `nth` call of a kind fails; then another, if that was to be
    /// tried again; then the power goes, and what was never synced, or by a sync that failed, is lost.
    private func ending(_ kind: Int, _ nth: UInt64, _ error: Int32) throws -> Ending {
        defer { fault_disk_stop() }
        let test = try filled()
        fault_disk_fail(UInt32(kind), nth, error, false)
        let ending = try checkpoint(test)
        fault_disk_mend()
        if ending == .retried {
            #expect(try test.live.statistics.checkpointRetries == 1)
            #expect(try checkpoint(test) == .done)
        }
        test.crash()
        _ = fault_disk_crash(UInt32(CRASH_ALL_LOST), 0)
        try test.open()
        if ending != .ended { #expect(try test.live.recovery.replayed == 0, "call \(nth): LMDB has it") }
        for number in 0..<400 {
            #expect(try test.has(number), "record \(number) after error \(error) in call \(nth)")
        }
        return ending
    }

    /// One after the other, until the checkpoint has no more such calls.
    private func endings(_ kind: Int, _ error: Int32) throws -> [Ending] {
        var endings: [Ending] = []
        for nth in 1...64 {
            let next = try ending(kind, UInt64(nth), error)
            if next == .done { return endings }
            endings.append(next)
        }
        Issue.record("a small checkpoint has fewer than 64 calls")
        return endings
    }

    /// Reserving the place, the pages, and last the meta page: after it LMDB takes no more work.
    @Test(arguments: [ENOSPC, EDQUOT]) func fullDiskIsRetriedUpToTheMetaPage(_ error: Int32) throws {
        let endings = try endings(FAULT_WRITE, error)
        #expect(endings.count > 2)
        #expect(endings.dropLast().allSatisfy { $0 == .retried } && endings.last == .ended, "\(endings)")
    }

    /// The pages that LMDB's sync lost are in no tree: the retry writes all of its own anew. The other syncs are the recycled segments'.
    @Test(arguments: [ENOSPC, EDQUOT]) func fullDiskAtTheSyncIsRetried(_ error: Int32) throws {
        let endings = try endings(FAULT_SYNC, error)
        #expect(!endings.isEmpty && endings.allSatisfy { $0 == .retried }, "\(endings)")
    }

    /// No room for a keyring without the keys that may go: it stays as it is, and so does the store.
    @Test(arguments: [ENOSPC, EDQUOT]) func fullDiskKeepsTheKeyring(_ error: Int32) throws {
        defer { fault_disk_stop() }
        let test = try filled()
        for _ in 0..<3 { try test.reopen() }
        try test.checkpoint()
        let before = try FileSystem.contents(test.path + "/keyring")
        fault_disk_fail(UInt32(FAULT_WRITE), 1, error, true)
        let pruner = KeyPruner(try test.live.environment, try test.live.keyring, runsByHand: false)
        pruner.start()
        var dropped: Int?
        for _ in 0..<2_000 where dropped == nil {
            usleep(1_000)
            dropped = try pruner.take()
        }
        pruner.stop()
        fault_disk_mend()
        #expect(dropped == 0)
        #expect(try FileSystem.contents(test.path + "/keyring") == before)
        try test.reopen()
        #expect(try test.has(399))
    }

    @Test func brokenDiskIsTheEnd() throws {
        let writes = try endings(FAULT_WRITE, EIO)
        #expect(writes.count > 1 && writes.allSatisfy { $0 == .ended }, "\(writes)")
        let syncs = try endings(FAULT_SYNC, EIO)
        #expect(!syncs.isEmpty && syncs.allSatisfy { $0 == .ended }, "\(syncs)")
    }
}
