import Store
import Testing

@testable import AuthServer

/// What is said of the database's file, when, and how often.
@Suite struct StoreWatchTests {
    private func statistics(_ change: (inout StoreStatistics) -> Void = { _ in }) -> StoreStatistics {
        var statistics = StoreStatistics()
        statistics.freeBytes = StoreWatch.freeBytes
        (statistics.file.mapPages, statistics.file.filePages) = (1_000, 499)
        (statistics.file.lastTransaction, statistics.file.oldestReader) = (5_000, 4_001)
        change(&statistics)
        return statistics
    }

    @Test func nothingIsSaidWhileAllIsWell() {
        #expect(StoreWatch.texts(statistics()).allSatisfy { $0 == nil })
        let full = StoreWatch.texts(statistics { $0.file.filePages = 500 })
        #expect(full[0]?.contains("map_gib") == true && full[1] == nil && full[2] == nil)
        let behind = StoreWatch.texts(
            statistics { ($0.file.oldestReader, $0.file.oldestReaderPID) = (4_000, 77) })
        #expect(behind[1]?.hasPrefix("process 77 has been reading the database for 1000 transactions") == true)
        let disk = StoreWatch.texts(statistics { $0.freeBytes -= 1 })
        #expect(disk[2]?.contains("2047 MiB left") == true)
    }

    /// When it begins, each hour while it goes on, and when it begins again.
    @Test func onceAnHour() {
        var watch = StoreWatch()
        var (said, checkpoints): (Int, UInt64) = (0, 0)
        let count = Counted()
        watch.remark = { _ in count.value += 1 }
        func look(_ pages: UInt64, at now: UInt64) -> Int {
            checkpoints += 1
            watch.look(
                statistics { ($0.file.filePages, $0.checkpoints) = (pages, checkpoints) }, now: now)
            defer { said = count.value }
            return count.value - said
        }
        let hour = StoreWatch.againMs
        #expect(look(400, at: 1) == 0)
        #expect(look(600, at: 2) == 1)
        #expect(look(600, at: 3) == 0)
        #expect(look(600, at: 1 + hour) == 0)
        #expect(look(600, at: 2 + hour) == 1)
        #expect(look(400, at: 3 + hour) == 0)
        #expect(look(600, at: 4 + hour) == 1)
    }

    private final class Counted { var value = 0 }
}
