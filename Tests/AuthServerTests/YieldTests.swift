import Testing
import Wire

@testable import AuthServer
@testable import Store

/// A turn that leaves work behind lets the loop look at its sockets: whoever pipelines waits for those who don't.
@Suite struct YieldTests {
    @Test func aLongPipelineWaitsForTheSockets() throws {
        let server = try HandBatch()
        let peer = try server.peer()
        let pings = Bounds.maxInFlight * 3
        let before = server.batch.counters.requests
        peer.send(bytes: Array(repeatElement(try encoded(Ping()), count: pings).joined()))
        // All that happens before the loop looks at its sockets again: one turn.
        server.batch.turn()
        #expect(server.batch.counters.requests == before + UInt64(Bounds.maxInFlight) && server.batch.wantsTurn)
        var turns = 1
        while server.batch.wantsTurn {
            server.batch.turn()
            turns += 1
        }
        #expect(turns == 3 && peer.take() == pings)
        try server.close([peer])
    }

    /// Writes of many have a round: some in each turn, one record in all. A lookup that comes meanwhile is answered by the next turn.
    @Test func aLookupDoesNotWaitForARound() throws {
        let server = try HandBatch()
        let writers = try (0..<3 * Bounds.writesInTurn).map { _ in try server.peer() }
        let reader = try server.peer()
        for peer in writers { peer.send(bytes: server.requestCode().bytes) }
        let sealed = server.batch.counters.batches
        server.batch.turn()
        #expect(server.batch.counters.challengesCreated == UInt64(Bounds.writesInTurn) && server.batch.wantsTurn && !server.batch.isIdle)
        reader.send(bytes: try encoded(Ping()))
        server.batch.turn()
        #expect(reader.take() == 1 && server.batch.counters.challengesCreated == UInt64(2 * Bounds.writesInTurn))
        #expect(server.batch.counters.batches == sealed && writers.allSatisfy { $0.take() == 0 })
        server.turn()
        #expect(server.batch.counters.batches == sealed + 1 && writers.allSatisfy { $0.take() == 1 })
        try server.close(writers + [reader])
    }

    /// Who asks in mid-round has the next one: the round's record is sealed when all who asked before it have had their part.
    @Test func aRoundEndsWhateverArrives() throws {
        let server = try HandBatch()
        let writers = try (0..<2 * Bounds.writesInTurn).map { _ in try server.peer() }
        for peer in writers { peer.send(bytes: server.requestCode().bytes) }
        server.batch.turn()
        // The first half asks again before the second half has had its part.
        for peer in writers.prefix(Bounds.writesInTurn) { peer.send(bytes: server.requestCode().bytes) }
        server.batch.turn()
        #expect(server.batch.counters.challengesCreated == UInt64(2 * Bounds.writesInTurn))
        #expect(server.batch.wantsTurn && !server.batch.store.isCommitting)
        #expect(writers.reduce(0) { $0 + $1.take() } == 2 * Bounds.writesInTurn)
        server.turn()
        #expect(writers.reduce(0) { $0 + $1.take() } == Bounds.writesInTurn && server.batch.isIdle)
        try server.close(writers)
    }

    /// Who asked in mid-round needs nobody else to ask, nor the tick.
    @Test func theNextRoundNeedsNoCall() throws {
        let server = try HandBatch()
        let writers = try (0...Bounds.writesInTurn).map { _ in try server.peer() }
        let late = try server.peer()
        for peer in writers { peer.send(bytes: server.requestCode().bytes) }
        server.batch.turn()
        late.send(bytes: server.requestCode().bytes)
        server.turn()
        #expect(late.take() == 1 && writers.allSatisfy { $0.take() == 1 } && server.batch.isIdle)
        try server.close(writers + [late])
    }

    /// A connection's own order stands: its lookup doesn't pass its write. What the lookup reads tells: it waits for
    /// that write's sync.
    @Test func aConnectionKeepsItsOrder() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peer = try server.peer()
        let write = requestCodeBody(
            id: Bytes16(high: server.batch.clock.now().engineMs << 16, low: 1), account: Array("alice".utf8),
            phone: Array("+33612345678".utf8))
        var quota = Quota()
        (quota.purpose, quota.assurance) = (1, Assurance.firstFactor.rawValue)
        (quota.account, quota.phone, quota.session) = (AccountBytes("alice"), PhoneBytes("+33612345678"), testSession)
        peer.send(bytes: try encoded(Ping()) + RawFrame(Opcode.requestCode, body: write).bytes + encoded(quota))
        server.turn()
        #expect(peer.take() == 1 && server.batch.counters.challengesCreated == 1 && server.batch.store.isCommitting)
        server.sync()
        #expect(peer.take() == 2)
        try server.close([peer])
    }

    /// A sync that ends in mid-round leaves the open batch to the round's end: one record for all, and no wait for anything but the next turn.
    @Test func aSyncInMidRoundLeavesTheBatchOpen() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let writers = try (0..<2 * Bounds.writesInTurn + 1).map { _ in try server.peer() }
        writers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        #expect(server.batch.store.isCommitting)
        for peer in writers.dropFirst() { peer.send(bytes: server.requestCode().bytes) }
        server.batch.turn()
        let sealed = server.batch.counters.batches
        server.sync()
        #expect(writers[0].take() == 1 && server.batch.counters.batches == sealed + 1 && server.batch.store.isCommitting)
        while server.batch.store.isCommitting { server.sync() }
        #expect(writers.dropFirst().allSatisfy { $0.take() == 1 } && server.batch.isIdle)
        try server.close(writers)
    }
}
