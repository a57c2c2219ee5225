import Testing

@testable import Store

/// A batch that couldn't be written and synced is never called durable, and is the last (P2, P6).
@Suite struct FailedWriteTests {
    @Test(arguments: [CommitMode.inline, .overlapped], JournalFile.Device.allCases)
    func aFailedSyncIsFinal(_ mode: CommitMode, _ device: JournalFile.Device) throws {
        let test = try TestStore(commit: mode)
        for number in 0..<3 { try test.write(number) }
        let synced = try test.live.syncedSequence
        try JournalFile.replace(under: test.path, with: device)
        #expect(throws: StoreError.self) { try test.write(3) }
        #expect(try test.live.syncedSequence == synced)
        #expect(try !test.live.canAccept)
        // Whatever is asked of it now: a second try could succeed, and would hide that the first was lost.
        #expect(throws: StoreError.poisoned) { try test.commit() }
        #expect(throws: StoreError.poisoned) { try test.live.maintain(now: test.engineMs) }
        #expect(throws: StoreError.poisoned) { try test.live.close(now: test.engineMs) }
        try test.reopen()
        for number in 0..<3 { #expect(try test.has(number)) }
        #expect(try !test.has(3))
    }

    /// Only what was reported as durable counts as synced.
    @Test func anOverlappedBatchIsUnsyncedUntilReported() throws {
        let test = try TestStore(commit: .overlapped)
        try test.write(0)
        let synced = try test.live.syncedSequence
        try test.put(2, TestStore.key(1, 2), [1])
        #expect(try test.live.commit(clock: test.clock) == .started)
        #expect(try test.live.isCommitting)
        #expect(try test.live.syncedSequence == synced)
        #expect(try test.read(2, TestStore.key(1, 2)) == [1])
        try test.finish()
        #expect(try test.live.syncedSequence == synced + 1)
    }
}
