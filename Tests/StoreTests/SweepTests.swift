import Foundation
import LibCrypto
import Testing

@testable import Store

/// What has expired leaves the disk: in time, at any load, and over restarts.
@Suite struct SweepTests {
    static let halfDay: UInt64 = 12 * 3_600_000

    /// As many expired rows of the random table as told, their keys spread by a multiply; then an hour has passed.
    private static func expired(_ count: Int, table: UInt8 = 1, checkpointMs: UInt64 = 1 << 40) throws
        -> TestStore
    {
        let test = try TestStore(checkpointMs: checkpointMs)
        for start in stride(from: 0, to: count, by: 500) {
            for number in start..<min(count, start + 500) {
                try test.put(table, key(number, table), [1], expiresAt: test.engineMs + 600_000)
            }
            try test.commit()
            try test.checkpoint()
        }
        test.advance(3_600_000)
        return test
    }

    private static func sweep(_ test: TestStore) throws {
        try test.commit()
        try test.checkpoint()
    }

    private static func key(_ number: Int, _ table: UInt8) -> [UInt8] {
        TestStore.key(Int(truncatingIfNeeded: (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) >> 1), table)
    }

    private static func rows(_ test: TestStore, _ table: Int) throws -> Int {
        try test.live.environment.rows(table)
    }

    /// Looks as the server's tick does, for `milliseconds`, `step` apart.
    private static func idle(_ test: TestStore, _ milliseconds: UInt64, step: UInt64) throws {
        let end = test.engineMs + milliseconds
        while test.engineMs < end {
            test.advance(step)
            try test.commit()
            try test.live.maintain(now: test.engineMs)
            while try test.live.makesRoom {
                usleep(100)
                try test.live.maintain(now: test.engineMs)
            }
        }
    }

    @Test func anIdleStoreSweeps() throws {
        let test = try Self.expired(2_000, checkpointMs: 1_000)
        try Self.idle(test, 2 * Self.halfDay, step: 60_000)
        #expect(try Self.rows(test, 1) == 0)
        #expect(try test.live.statistics.sweptRows == 2_000)
    }

    /// The clock hand goes by time, not by checkpoints, and rows that go don't slow it down.
    @Test func aHandMeetsEveryRowWithinADayAtAnyPace() throws {
        // At the second the least of 64 rows a checkpoint would leave half of them.
        for pace in [60_000, 3_600_000] as [UInt64] {
            let test = try Self.expired(3_000)
            for _ in 0..<(2 * Self.halfDay / pace) {
                test.advance(pace)
                try Self.sweep(test)
            }
            #expect(try Self.rows(test, 1) == 0, "a checkpoint each \(pace) ms")
        }
    }

    /// By the time of the last record, which a crash can't take back.
    @Test func whatHasExpiredIsJudgedByTheJournalsTime() throws {
        let test = try Self.expired(100)
        try test.checkpoint()
        #expect(try Self.rows(test, 1) == 100)
        try Self.sweep(test)
        try test.checkpoint()
        #expect(try Self.rows(test, 1) == 0)
        try test.reopen()
        #expect(try test.live.lastCommitMs == test.engineMs)
    }

    /// Records of time alone fill segments too; those that LMDB's position doesn't need any more go, the others stay.
    @Test func anIdleStoreKeepsItsPosition() throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        try test.write(1)
        for _ in 0..<40 { try Self.sweep(test) }
        try test.reopen()
        #expect(try test.has(1))
        #expect(try test.live.recovery.lastClock?.engineMs == test.engineMs)
        let names = try FileManager.default.contentsOfDirectory(atPath: test.path + "/journal")
        #expect(names.count <= 3, "\(names)")
    }

    @Test func aSweepThatFindsNothingWritesNothing() throws {
        let test = try TestStore()
        try test.write(1)
        try test.checkpoint()
        let before = try test.live.statistics.file.lastTransaction
        test.advance(3_600_000)
        try test.checkpoint()
        #expect(try test.live.statistics.file.lastTransaction == before)
    }

    /// A restart every few hours must not spare the far end of a table.
    @Test func theHandGoesOnAfterARestart() throws {
        let test = try Self.expired(1_000)
        // Before all others: a hand that begins anew never gets beyond them.
        for number in 0..<100 { try test.put(1, TestStore.key(number, 1), [1]) }
        for _ in 0..<24 {
            try test.write(1)
            try test.checkpoint()
            try test.reopen()
        }
        #expect(try Self.rows(test, 1) == 100, "64 rows at each of 24 starts are more than 1,100")
    }

    /// Writes take out what is over beside them, so a table in use stays near what lives in it.
    @Test func writesSweepTheirNeighbours() throws {
        let test = try Self.expired(2_000)
        let live = test.engineMs + 100 * Self.halfDay
        for number in 0..<1_000 {
            try test.put(1, Self.key(10_000 + number, 1), [2], expiresAt: live)
            if number % 100 == 99 { try test.commit() }
        }
        try test.checkpoint()
        let left = try Self.rows(test, 1) - 1_000
        #expect(left < 500, "\(left) of 2,000 expired rows are left beside 1,000 new ones")
        for number in 0..<1_000 { #expect(try test.read(1, Self.key(10_000 + number, 1)) == [2]) }
    }

    /// Twice as many go as come, and a fixed number in any case; the rest follows at once, without a write.
    @Test func aBacklogAtTheHeadIsSweptInSteps() throws {
        let count = 2 * Sweeper.quota(rows: 0) + 100
        let test = try TestStore(overlayRecords: 4_096)
        for start in stride(from: 0, to: count, by: 500) {
            for number in start..<min(count, start + 500) {
                try test.put(0, TestStore.key(number, 0), [1], expiresAt: test.engineMs + 600_000)
            }
            try test.commit()
            try test.checkpoint()
        }
        test.advance(3_600_000)
        try Self.sweep(test)
        #expect(try Self.rows(test, 0) == count - Sweeper.quota(rows: 0))
        #expect(try test.live.sweepsOn)
        try test.checkpoint()
        try test.checkpoint()
        #expect(try Self.rows(test, 0) == 0)
        #expect(try !test.live.sweepsOn)
    }

    @Test func aTableWithABoundDropsItsOldestRows() throws {
        let test = try TestStore(maxRows: 100)
        for number in 0..<300 { try test.put(0, TestStore.key(number, 0), [1], expiresAt: 0) }
        try test.commit()
        try test.checkpoint()
        #expect(try Self.rows(test, 0) == 100)
        #expect(try test.read(0, TestStore.key(199, 0)) == nil)
        #expect(try test.read(0, TestStore.key(200, 0)) == [1])
    }

    /// Admission looks at what is used: a file that was once large and is now free takes writes.
    @Test func gaugesTellUsedFromFree() throws {
        let test = try Self.expired(3_000, table: 0)
        let full = try test.live.statistics.file
        #expect(full.rows[0] == 3_000 && full.treeDepth >= 2)
        try Self.sweep(test)
        try test.checkpoint()
        let empty = try test.live.statistics.file
        #expect(empty.rows[0] == 0)
        #expect(empty.filePages >= full.filePages)
        #expect(
            empty.usedPages * 2 < full.usedPages, "\(empty.usedPages) of \(full.usedPages) pages are in use")
        #expect(empty.readerLag <= 1, "nobody reads but the loop")
        #expect(try test.live.statistics.usedBytes == Int(empty.usedPages) * 4_096)
    }
}
