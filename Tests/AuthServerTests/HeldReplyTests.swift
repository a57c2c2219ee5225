import Store
import Testing
import Wire

@testable import AuthServer

/// While a sync is under way nothing leaves that rests on it, by whatever road; what doesn't leaves at once (P2).
@Suite struct HeldReplyTests {
    /// Frames that came for `peer` until it has been quiet for a while.
    private func frames(_ peer: RawPeer) throws -> [RawPeer.Received] {
        var found: [RawPeer.Received] = []
        while !peer.isQuiet(milliseconds: 150) { found.append(try #require(try peer.next())) }
        return found
    }

    private func subscriber(_ server: TestServer, _ start: Subscribe.Start) throws -> RawPeer {
        let peer = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = start.rawValue
        subscribe.credit = 1_000
        #expect(try peer.exchange(subscribe).status == .done)
        return peer
    }

    @Test func nothingLeavesBeforeTheSyncItRestsOn() throws {
        let server = try TestServer { $0.commit = .overlapped }
        let (asker, reader) = (try server.peer(), try server.peer())
        let challenge = try asker.exchange(asker.requestCode()).decode(ChallengeReply.self).challenge
        let courier = try server.peer()
        _ = try courier.nextMessage()
        var lease = LeaseMessages()
        lease.credit = 5
        #expect(try courier.exchange(lease).status == .done)
        let watcher = try subscriber(server, .now)

        let stall = try StalledJournal()
        let before = try server.statistic("journal_sequence")
        var cancel = Cancel()
        cancel.requestID = asker.requestID()
        cancel.challenge = challenge
        cancel.session = testSession
        // One turn: both are in one commit, and the second's message is leased in it.
        let requests =
            try asker.frame(cancel) + asker.frame(asker.requestCode(account: "bob", phone: "+33612345679"))
        asker.send(requests)
        #expect(asker.isQuiet(milliseconds: 200), "a write was answered before its sync")
        // A reply that needn't wait leaves alone.
        #expect(try asker.exchange(Ping()).status == .done)
        #expect(asker.isQuiet(milliseconds: 150), "held replies left with another")
        // A lookup of what the write changed waits with it; one of something else doesn't.
        var status = StatusRequest()
        status.challenge = challenge
        status.session = testSession
        try reader.send(status)
        #expect(reader.isQuiet(milliseconds: 150), "a lookup was answered from what isn't durable")
        #expect(try server.peer().status(asker.requestID()).status == .challengeNotOpen)
        #expect(courier.isQuiet(milliseconds: 150), "a message left before its lease was durable")
        #expect(watcher.isQuiet(milliseconds: 150), "an event left before its change was durable")
        let late = try subscriber(server, .oldest)
        let page = try frames(late).map { try $0.decode(EventPush.self).kind }
        #expect(
            page.last == EventPush.Kind.codeRequested.rawValue && page.count == 2,
            "a page holds what isn't durable")
        #expect(try server.statistic("journal_sequence") == before)

        stall.end()
        #expect(try asker.next()?.status == .done)
        #expect(try asker.next()?.status == .done)
        let cancelled = try #require(try reader.next()).decode(StatusRequest.Reply.self)
        #expect(cancelled.state == StatusRequest.State.cancelled.rawValue)
        #expect(try #require(try courier.next()).decode(MessagePush.self).phone.text == "+33612345679")
        let kinds = try frames(watcher).map { try $0.decode(EventPush.self).kind }
        #expect(kinds == [EventPush.Kind.challengeCancelled, .codeRequested].map(\.rawValue))
        #expect(try frames(late).map { try $0.decode(EventPush.self).kind } == kinds)
    }

    /// A write that comes while a sync is under way waits for it, and then for its own.
    @Test func writesDuringASyncAreTheNextBatch() throws {
        let server = try TestServer { $0.commit = .overlapped }
        let peers = try (0..<3).map { _ in try server.peer() }
        let stall = try StalledJournal()
        for (number, peer) in peers.enumerated() {
            try peer.send(peer.requestCode(account: "a\(number)", phone: "+3361234567\(number)"))
            #expect(peer.isQuiet(milliseconds: 60))
        }
        stall.end()
        for peer in peers { #expect(try peer.next()?.status == .done) }
    }
}
