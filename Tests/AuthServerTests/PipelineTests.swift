import Testing
import Wire

@testable import AuthServer
@testable import Store

/// While a batch is being synced the next one is decided; each reply leaves with its own batch's sync (P2).
@Suite struct PipelineTests {
    @Test func eachReplyWaitsForItsOwnSync() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peers = try (0..<3).map { _ in try server.peer() }
        let store = server.batch.store
        let sealed = server.batch.counters.batches
        // The first batch is with the journal; the second is decided meanwhile, in two turns.
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        for peer in [peers[1], peers[0]] {
            peer.send(bytes: server.requestCode().bytes)
            server.turn()
        }
        #expect(server.batch.counters.batches == sealed + 1 && store.isCommitting)
        #expect(server.batch.counters.challengesCreated == 3, "decided while the first was being synced")
        #expect(peers.map { $0.take() } == [0, 0, 0])
        server.sync()
        #expect(peers.map { $0.take() } == [1, 0, 0], "what waits for the second batch doesn't leave with the first")
        #expect(server.batch.counters.batches == sealed + 2 && store.isCommitting, "the second follows at once")
        server.sync()
        #expect(peers.map { $0.take() } == [1, 1, 0])
        #expect(!store.isCommitting && server.batch.isIdle)
        try server.close(peers)
    }

    /// A lookup that rests on the batch under way, with no write after it, has no sync of its own to wait for.
    @Test func aLookupLeavesWithTheBatchThatItReads() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peers = try (0..<2).map { _ in try server.peer() }
        let request = server.requestCode()
        peers[0].send(bytes: request.bytes)
        server.turn()
        // The same request again is a lookup of the challenge that it made.
        peers[1].send(bytes: request.bytes)
        server.turn()
        #expect(peers.map { $0.take() } == [0, 0])
        server.sync()
        #expect(peers.map { $0.take() } == [1, 1])
        #expect(server.batch.isIdle)
        try server.close(peers)
    }

    /// Only synced records may be folded: with batch after batch open, a checkpoint that is due makes itself a pause.
    @Test func aCheckpointMakesItselfAPause() throws {
        let server = try HandBatch {
            $0.commit = .overlapped
            $0.overlayRecords = 512
        }
        let peers = try (0..<2).map { _ in try server.peer() }
        var answered = 0
        var checkpoints = 0
        var mostChanged = 0
        for _ in 0..<200 {
            for peer in peers {
                peer.send(bytes: server.requestCode().bytes)
                server.turn()
            }
            if server.batch.store.isCommitting { server.sync() }
            mostChanged = max(mostChanged, server.batch.store.overlayCount)
            if server.batch.store.hasCheckpointJob {
                checkpoints += 1
                server.batch.store.runCheckpointJob { _ in }
                server.batch.take(.checkpointed)
                server.turn()
            }
            for peer in peers { answered += peer.take() }
        }
        while server.batch.store.isCommitting { server.sync() }
        for peer in peers { answered += peer.take() }
        #expect(answered == 400 && server.batch.counters.overloaded == 0)
        #expect(checkpoints > 5)
        #expect(mostChanged < 400, "it begins when it is due, at half of the overlay, not when nothing more fits")
        try server.close(peers)
    }

    /// In the adaptive mode a small batch is synced by the loop, a large one by the journal's thread.
    @Test func aLargeBatchIsWorthAHop() throws {
        let server = try HandBatch { $0.commit = .adaptive }
        let peers = try (0..<Bounds.largeBatch).map { _ in try server.peer() }
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        #expect(!server.batch.store.isCommitting && peers[0].take() == 1)
        for peer in peers { peer.send(bytes: server.requestCode().bytes) }
        server.turn()
        #expect(server.batch.store.isCommitting && peers[0].take() == 0)
        // What follows a sync goes to the journal's thread whatever its size: those who waited for the first are told meanwhile.
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        server.sync()
        #expect(peers.allSatisfy { $0.take() == 1 } && server.batch.store.isCommitting)
        server.sync()
        #expect(peers[0].take() == 1 && server.batch.isIdle)
        try server.close(peers)
    }

    /// A write that wrote nothing, as a Verify whose request id is too old, waits like one that did: time tells nothing.
    @Test func aWriteThatWritesNothingWaitsToo() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peers = try (0..<2).map { _ in try server.peer() }
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        let id = Bytes16(high: (server.batch.clock.now().engineMs - 700_000) << 16, low: 1)
        peers[1].send(bytes: RawFrame(Opcode.verify, body: verifyBody(id: id, challenge: id, code: Array("123456".utf8))).bytes)
        server.turn()
        #expect(server.batch.store.batchIsEmpty && peers.map { $0.take() } == [0, 0])
        server.sync()
        #expect(peers.map { $0.take() } == [1, 1])
        try server.close(peers)
    }

    /// With commits in a row there is no pause in which the server's own events could have a commit of their own.
    @Test func serverEventsGoIntoTheOpenBatch() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peers = [try server.peer()]
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        let first = server.batch.store.nextSequence
        server.batch.note([OwnEvent(.serverDraining)])
        server.sync()
        #expect(server.batch.store.isCommitting)
        server.sync()
        #expect(server.batch.events.head.sequence == first)
        try server.close(peers)
    }

    /// The rest of a frame came while writes wait: its peer isn't late any more.
    @Test func aWholeFrameThatWaitsIsNoHalf() throws {
        let server = try HandBatch { $0.commit = .overlapped }
        let peers = try (0..<2).map { _ in try server.peer() }
        peers[0].send(bytes: server.requestCode().bytes)
        server.turn()
        server.batch.store.wantsPause = true
        let bytes = server.requestCode().bytes
        peers[1].send(bytes: Array(bytes.prefix(5)))
        server.turn()
        #expect(peers[1].connection.frameSinceMs != 0)
        peers[1].send(bytes: Array(bytes.dropFirst(5)))
        server.turn()
        #expect(peers[1].connection.frameSinceMs == 0 && peers[1].connection.isStalled)
        server.sync()
        while server.batch.store.isCommitting { server.sync() }
        #expect(peers.map { $0.take() } == [1, 1])
        try server.close(peers)
    }

    /// Nobody asks for anything, and subscribers beyond those that a push reaches get their pages all the same.
    @Test func pagesNeedNoRequest() throws {
        let server = try HandBatch()
        let peers = try (0..<Bounds.maxPushes + 3).map { _ in try server.peer() }
        for peer in peers {
            var subscribe = Subscribe()
            subscribe.start = Subscribe.Start.now.rawValue
            subscribe.credit = 10
            try peer.send(subscribe)
        }
        server.turn()
        #expect(peers.allSatisfy { $0.take() == 1 })
        server.batch.note([OwnEvent(.serverDraining)])
        server.turn()
        #expect(peers.allSatisfy { $0.take() == 1 })
        try server.close(peers)
    }
}
