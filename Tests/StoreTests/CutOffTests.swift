import Testing

@testable import Store

/// A kill in the middle of a checkpoint, at each of its steps: the next start has everything, and goes on (P2).
@Suite struct CutOffTests {
    /// Steps by name; `keysCommitted` is met several times.
    static let steps: [(name: String, at: Int)] = [
        ("keysCommitted", 1), ("keysCommitted", 3), ("keysWritten", 1), ("positionWritten", 1),
        ("committed", 1),
        ("recycled", 1),
    ]

    /// Records over several segments, deletions of what LMDB holds among them, in more than one transaction.
    private func fill(_ test: TestStore) throws {
        for number in 0..<40 { try test.write(number) }
        try test.checkpoint()
        for number in 0..<10 { try test.delete(2, TestStore.key(number, 2)) }
        try test.commit()
        for number in 40..<90 { try test.write(number) }
    }

    private func check(_ test: TestStore, upTo end: Int, _ step: String) throws {
        for number in 0..<end { #expect(try test.has(number) == (number >= 10), "\(number) after \(step)") }
        #expect(try test.scan(2).count == end - 10, "\(step)")
    }

    @Test(arguments: steps) func aCutOffCheckpointLosesNothing(_ step: (name: String, at: Int)) throws {
        let test = try TestStore(segmentBytes: 8 << 10)
        try fill(test)
        let checkpointer = try test.live.checkpointer
        checkpointer.keysPerTransaction = 8
        var met = 0
        checkpointer.cutsOff = { reached in
            if "\(reached)" == step.name { met += 1 }
            return met == step.at
        }
        #expect(throws: StoreError.poisoned) { try test.checkpoint() }
        #expect(met == step.at)
        checkpointer.cutsOff = nil
        try test.reopen()
        try check(test, upTo: 90, step.name)
        for number in 90..<100 { try test.write(number) }
        try test.reopen()
        try check(test, upTo: 100, step.name)
        try test.checkpoint()
        try check(test, upTo: 100, step.name)
    }
}
