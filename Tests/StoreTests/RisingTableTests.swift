import Testing

@testable import Store

/// Pages of a table whose keys rise: found in both overlays and LMDB without sorting, the same as of any other table.
@Suite struct RisingTableTests {
    /// Table 2's keys are numbers in order here; table 1 is written in between.
    @Test(arguments: [1, 2, 3] as [UInt64]) func pagesFromAnywhere(_ seed: UInt64) throws {
        let test = try TestStore()
        test.options.tables[2].order = .time
        test.options.tables[2].isRising = true
        try test.reopen()
        var random = ModelTests.Generator(state: seed)
        var model: [(key: [UInt8], value: [UInt8])] = []
        for step in 0..<300 {
            for _ in 0..<random.next(4) {
                let number = model.count
                let key = Array(TestStore.key(0, 2).dropLast(2)) + [UInt8(number >> 8), UInt8(number & 255)]
                let value = [UInt8(truncatingIfNeeded: step)]
                try test.put(2, key, value)
                model.append((key, value))
                try test.write(random.next(100), table: 1)
            }
            try test.commit()
            if random.next(30) == 0 { try test.checkpoint() }
            if random.next(60) == 0 { try test.reopen() }
            let from = random.next(model.count + 1)
            let start = from < model.count ? model[from].key : [UInt8](repeating: 255, count: 14)
            let found = try test.scan(2, from: start)
            #expect(found.map(\.key) == model[from...].map(\.key), "seed \(seed), step \(step), from \(from)")
            #expect(found.map(\.value) == model[from...].map(\.value), "seed \(seed), step \(step), from \(from)")
        }
        #expect(try test.scan(2).count == model.count)
    }

    /// The same while the frozen overlay is still being written.
    @Test func pagesAcrossAFrozenOverlay() throws {
        let overlays = (Overlay(records: 64, bytes: 4_096, rising: 2), Overlay(records: 64, bytes: 4_096, rising: 2))
        for number in 0..<40 as Range<UInt8> {
            let overlay = number < 17 ? overlays.0 : overlays.1
            for table in [1, 2] as [UInt8] {
                let key = [UInt8](repeating: 0, count: 13) + [number]
                key.withUnsafeBytes { overlay.set(table, $0, $0, expiresAt: 0, epoch: 1, sequence: 1) }
            }
        }
        for from in 0...41 as ClosedRange<UInt8> {
            let start = [UInt8](repeating: 0, count: 13) + [from]
            let records = ChangedRecords(2, isRising: true, from: start, active: overlays.1, frozen: overlays.0)
            let numbers = (0..<records.count).map { records.key($0)[13] }
            #expect(numbers == Array(min(from, 40)..<40))
            let sorted = ChangedRecords(2, isRising: false, from: start, active: overlays.1, frozen: overlays.0)
            #expect((0..<sorted.count).map { sorted.key($0)[13] } == numbers)
        }
    }
}
