import CLMDB
import Foundation
import Testing

@testable import Store

/// AES-GCM breaks when a nonce comes twice under one key (NIST SP 800-38D §8): none ever does, over commits, checkpoints and starts.
@Suite struct NonceTests {
    struct Use: Hashable {
        var dataKey: UInt32
        var nonce: UInt64
    }

    @Test func journalNoncesNeverComeTwice() throws {
        let test = try TestStore()
        for start in 0..<4 {
            for number in 0..<10 { try test.write(start * 10 + number) }
            try test.reopen()
        }
        test.crash()
        var uses: [Use] = []
        let segment = try test.newestSegment()
        let bytes = Array(try Data(contentsOf: segment))
        for place in try test.records(in: segment) {
            let header = bytes.withUnsafeBytes { JournalRecord.parse($0.slice(place.offset, place.bytes)) }
            uses.append(Use(dataKey: try #require(header).dataKey, nonce: try #require(header).nonce))
        }
        #expect(uses.count == 40)
        #expect(Set(uses).count == 40)
        #expect(Set(uses.map(\.dataKey)).count == 4, "a fresh data key at every start")
    }

    @Test func valueNoncesNeverComeTwice() throws {
        let test = try TestStore()
        for start in 0..<3 {
            for round in 0..<2 {
                for number in 0..<10 { try test.write(start * 100 + round * 10 + number) }
                try test.checkpoint()
            }
            try test.reopen()
        }
        let values = try test.live.environment.values(2)
        let uses = values.map { sealed in
            sealed.withUnsafeBytes { Use(dataKey: Envelope.dataKey($0), nonce: Envelope.nonce($0)) }
        }
        #expect(uses.count == 60)
        #expect(Set(uses).count == 60)
    }
}
