import Glibc
import Synchronization
import Testing

@testable import Store

/// Reads while a checkpoint is under way, the edge of expiry in each layer, what a read rests on, and the floor of free space.
@Suite struct CheckpointTests {
    /// Holds the checkpointer at its last step before the commit until it is opened.
    final class Gate: Sendable {
        private let isOpen = Atomic(false)
        private let isReached = Atomic(false)

        func open() { isOpen.store(true, ordering: .releasing) }

        func hold() {
            isReached.store(true, ordering: .releasing)
            while !isOpen.load(ordering: .acquiring) { usleep(200) }
        }

        func awaitReached() { while !isReached.load(ordering: .acquiring) { usleep(200) } }
    }

    @Test func readsSeeWhatACheckpointIsFolding() throws {
        let test = try TestStore()
        for number in 0..<4 { try test.write(number) }
        try test.checkpoint()
        // Frozen: 0 deleted, 1 written anew, 10 new. LMDB: 0...3 as they were.
        try test.delete(2, TestStore.key(0, 2))
        try test.put(2, TestStore.key(1, 2), [11])
        try test.put(2, TestStore.key(10, 2), [10])
        try test.commit()
        let gate = Gate()
        try test.live.checkpointer.cutsOff = { step in
            if case .positionWritten = step { gate.hold() }
            return false
        }
        try test.live.maintain(now: .max)
        gate.awaitReached()
        #expect(try test.live.makesRoom)
        func check(_ moment: String) throws {
            #expect(try test.read(2, TestStore.key(0, 2)) == nil, "\(moment)")
            #expect(try test.read(2, TestStore.key(1, 2)) == [11], "\(moment)")
            #expect(try test.read(2, TestStore.key(10, 2)) == [10], "\(moment)")
            #expect(try test.has(2), "\(moment)")
            #expect(try test.scan(2).map { $0.key[7] } == [1, 2, 3, 10], "\(moment)")
        }
        try check("frozen")
        // Newer than what is frozen.
        try test.delete(2, TestStore.key(2, 2))
        try test.put(2, TestStore.key(10, 2), [12])
        try test.commit()
        #expect(try test.read(2, TestStore.key(2, 2)) == nil)
        #expect(try test.scan(2).map { $0.key[7] } == [1, 3, 10])
        try test.write(2)
        try test.put(2, TestStore.key(10, 2), [10])
        try test.commit()
        gate.open()
        // Committed, but the loop hasn't renewed its snapshot: nothing may be dropped yet.
        usleep(20_000)
        try check("committed, not taken")
        try test.checkpoint()
        try check("taken")
    }

    /// A checkpoint begins between batches: LMDB never holds what the journal may yet lose.
    @Test func onlySyncedStateIsFolded() throws {
        let test = try TestStore(commit: .overlapped)
        try test.put(2, TestStore.key(1, 2), [1])
        try test.live.maintain(now: .max)
        #expect(try !test.live.makesRoom, "a batch is open")
        #expect(try test.live.commit(clock: test.clock) == .started)
        try test.live.maintain(now: .max)
        #expect(try !test.live.makesRoom, "a batch is being synced")
        try test.finish()
        try test.live.maintain(now: .max)
        #expect(try test.live.makesRoom)
        try test.checkpoint()
        #expect(try test.read(2, TestStore.key(1, 2)) == [1])
    }

    /// Absent from `expiresAt` on, in the overlay, in LMDB, in a read and in a scan.
    @Test(arguments: [false, true]) func expiryIsExact(_ isFolded: Bool) throws {
        let test = try TestStore()
        let end = test.engineMs + 1_000
        let keys = [TestStore.key(1, 0), TestStore.key(1, 1)]
        for table in 0..<2 as Range<UInt8> { try test.put(table, keys[Int(table)], [1], expiresAt: end) }
        try test.commit()
        if isFolded { try test.checkpoint() }
        test.advance(end - 1 - test.engineMs)
        for table in 0..<2 as Range<UInt8> {
            #expect(try test.read(table, keys[Int(table)]) == [1])
            #expect(try test.scan(table).count == 1)
        }
        test.advance(1)
        for table in 0..<2 as Range<UInt8> {
            #expect(try test.read(table, keys[Int(table)]) == nil)
            #expect(try test.scan(table).isEmpty)
        }
    }

    /// A read names the commit that wrote, deleted or let expire what it found; what LMDB holds is long since durable.
    @Test func readsSayWhatTheyRestOn() throws {
        let test = try TestStore()
        let (kept, gone, brief) = (TestStore.key(1, 2), TestStore.key(2, 2), TestStore.key(3, 2))
        func sequence(_ key: [UInt8]) throws -> UInt64 { try test.result(2, key).sequence }
        try test.put(2, kept, [1])
        try test.put(2, gone, [1])
        let first = try test.live.nextSequence
        #expect(try sequence(kept) == first)
        try test.commit()
        #expect(try sequence(kept) == first)
        try test.delete(2, gone)
        try test.put(2, brief, [1], expiresAt: 5)
        #expect(try sequence(gone) == first + 1)
        #expect(try test.result(2, gone).length == -1)
        #expect(try sequence(brief) == first + 1)
        #expect(try test.result(2, brief).length == -1)
        try test.commit()
        try test.checkpoint()
        for key in [kept, gone, brief, TestStore.key(4, 2)] { #expect(try sequence(key) == 0) }
    }

    @Test func belowTheFloorNoSends() throws {
        let test = try TestStore()
        for (free, sends) in [((256 << 20) - 1, false), (256 << 20, true), (UInt64.max, true), (0, false)] {
            try test.live.statistics.freeBytes = free
            #expect(try test.live.canAcceptSends == sends)
            #expect(try test.live.canAccept, "what is not a send goes on while the journal has its place")
        }
    }

    /// Nothing else need be written while sends are refused, so no checkpoint would ever see the space.
    @Test func spaceThatCameBackIsSeenWithoutACheckpoint() throws {
        let test = try TestStore()
        try test.live.statistics.freeBytes = 1
        #expect(try !test.live.canAcceptSends)
        try test.live.maintain(now: 5_000)
        #expect(try test.live.canAcceptSends)
    }
}
