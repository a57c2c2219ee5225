import Foundation
import Testing

@testable import Store

/// Random work against a dictionary: whatever the layers do, a read answers what was last written.
@Suite struct ModelTests {
    struct Generator {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    struct Key: Hashable {
        var table: UInt8
        var bytes: [UInt8]
    }

    @Test(arguments: [CommitMode.inline, .overlapped], [1, 2, 3] as [UInt64])
    func model(_ mode: CommitMode, _ seed: UInt64) throws {
        print("model: commit \(mode.rawValue), seed \(seed)")
        let test = try TestStore(commit: mode)
        var random = Generator(state: seed)
        var model: [Key: [UInt8]] = [:]
        for step in 0..<400 {
            for _ in 0...random.next(12) {
                let table = UInt8(random.next(3))
                let key = Key(table: table, bytes: TestStore.key(random.next(200), table))
                if random.next(4) == 0 {
                    model[key] = nil
                    try test.delete(table, key.bytes)
                } else {
                    let value = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: random.next(600))
                    model[key] = value
                    try test.put(table, key.bytes, value)
                }
            }
            // Seen before the commit already.
            let probe = Key(table: 1, bytes: TestStore.key(random.next(200), 1))
            #expect(try test.read(1, probe.bytes) == model[probe])
            try test.commit()
            switch random.next(40) {
            case 0: try test.reopen()
            case 1: try test.checkpoint()
            case 2:
                try test.close()
                try test.open()
            case 3:
                try test.checkpoint()
                try test.reopen()
            default: break
            }
            if step % 50 == 49 { try compare(test, model) }
        }
        try test.reopen()
        try compare(test, model)
        #expect(try test.live.recovery.lastClock?.engineMs == test.engineMs)
    }

    private func compare(_ test: TestStore, _ model: [Key: [UInt8]]) throws {
        for table in 0..<3 as Range<UInt8> {
            let expected = model.filter { $0.key.table == table }
                .sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
            let found = try test.scan(table)
            #expect(found.map(\.key) == expected.map(\.key.bytes), "keys of table \(table)")
            #expect(found.map(\.value) == expected.map(\.value), "values of table \(table)")
            for number in 0..<200 {
                let key = Key(table: table, bytes: TestStore.key(number, table))
                #expect(try test.read(table, key.bytes) == model[key])
            }
        }
    }

    /// A page that starts in the middle merges overlay, frozen overlay and LMDB, deletions included.
    @Test func scanMergesLayers() throws {
        let test = try TestStore()
        for number in 0..<10 { try test.write(number) }
        try test.checkpoint()
        try test.put(2, TestStore.key(3, 2), [9])
        try test.delete(2, TestStore.key(5, 2))
        try test.put(2, TestStore.key(12, 2), [12])
        try test.commit()
        let found = try test.scan(2, from: TestStore.key(3, 2))
        #expect(found.map { $0.key[7] } == [3, 4, 6, 7, 8, 9, 12])
        #expect(found.first?.value == [9])
    }

    @Test func expiredRecordsReadAsAbsentAndLeave() throws {
        let test = try TestStore()
        for number in 0..<100 {
            try test.put(0, TestStore.key(number, 0), [1], expiresAt: test.engineMs + 1_000)
            try test.put(1, TestStore.key(number, 1), [1], expiresAt: test.engineMs + 1_000)
        }
        try test.put(2, TestStore.key(1, 2), [1], expiresAt: 0)
        try test.commit()
        try test.checkpoint()
        #expect(try test.read(0, TestStore.key(5, 0)) == [1])
        test.advance(2_000)
        #expect(try test.read(0, TestStore.key(5, 0)) == nil)
        #expect(try test.scan(1).isEmpty)
        // Each checkpoint sweeps: the head of the time-ordered table, a hand's breadth of the random one.
        for number in 0..<3 {
            try test.write(100 + number)
            try test.checkpoint()
        }
        let counts = try Self.stored(test)
        #expect(counts[0] == 0)
        #expect(counts[1] == 0)
        #expect(counts[2] == 4)
    }

    /// Rows in LMDB itself.
    static func stored(_ test: TestStore) throws -> [Int] {
        let store = try test.live
        return try TestStore.tables.indices.map { try store.environment.rows($0) }
    }

    @Test func aFullOverlayIsSaidAndACheckpointMakesRoom() throws {
        let test = try TestStore(overlayRecords: 256)
        var number = 0
        while try test.live.canAccept {
            try test.write(number)
            number += 1
            #expect(number < 1_000, "the overlay is bounded")
        }
        #expect(number > 100)
        try test.checkpoint()
        #expect(try test.live.canAccept)
        #expect(try test.has(0))
        #expect(try test.has(number - 1))
    }

    /// Segments are recycled, and their stale records never come back.
    @Test func recycledSegments() throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        for round in 0..<30 {
            for number in 0..<10 { try test.write(round * 10 + number) }
            if round % 3 == 0 { try test.checkpoint() }
            if round % 7 == 0 { try test.reopen() }
        }
        try test.reopen()
        for number in 0..<300 { #expect(try test.has(number), "\(number)") }
        let names = try FileManager.default.contentsOfDirectory(atPath: test.path + "/journal")
        #expect(names.count < 30, "old segments go")
    }
}
