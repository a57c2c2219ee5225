import Synchronization
import Testing

@testable import Store

/// A checkpoint's rests: never when the next one is due, or when somebody waits for its end.
@Suite struct PaceTests {
    /// Nothing else than what is told ends these rests: the time is an hour.
    private func pace() -> Pace {
        let pace = Pace(dueMs: 3_600_000, dueRecords: 1_000)
        pace.begin()
        return pace
    }

    @Test func whatIsChangedMeanwhileEndsARest() {
        let pace = pace()
        pace.changed.store(400, ordering: .relaxed)
        pace.rest(done: 50, of: 100)
        #expect(!pace.isBehind)
        pace.changed.store(1_000, ordering: .relaxed)
        pace.rest(done: 100, of: 100)
        #expect(pace.isBehind)
    }

    @Test func aHurryEndsEveryRest() {
        let pace = pace()
        pace.isHurried.store(true, ordering: .relaxed)
        pace.rest(done: 99, of: 100)
        #expect(pace.isBehind, "and makes its transactions large")
    }

    @Test func timeEndsARest() {
        let pace = Pace(dueMs: 0, dueRecords: 1_000_000)
        pace.begin()
        pace.rest(done: 99, of: 100)
        #expect(!pace.isBehind)
    }

    /// A stop waits for a checkpoint that would rest for an hour.
    @Test func aStopDoesNotWaitForRests() throws {
        let test = try TestStore(checkpointMs: 3_600_000)
        for number in 0..<40 { try test.put(0, TestStore.key(number, 0), [UInt8(number)]) }
        try test.commit()
        try test.live.checkpointer.keysPerTransaction = 8
        try test.live.checkpointNow(now: 1)
        #expect(try test.live.statistics.checkpoints == 1)
    }
}
