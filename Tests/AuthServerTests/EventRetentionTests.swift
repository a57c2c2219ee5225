import Testing
import Wire

@testable import AuthServer

/// Events are kept for 30 days of engine time. Who asks later, or falls that far behind, is told; nobody misses an event in silence.
@Suite struct EventRetentionTests {
    private static let keptMs: UInt64 = 30 * 86_400_000

    private func subscribe(
        _ peer: RawPeer, _ start: Subscribe.Start, after cursor: Cursor = .zero, credit: UInt16
    )
        throws -> RawPeer.Received
    {
        var message = Subscribe()
        message.start = start.rawValue
        message.cursor = cursor
        message.credit = credit
        return try peer.exchange(message)
    }

    private func credit(_ credit: UInt16) -> Acknowledge {
        var message = Acknowledge()
        message.credit = credit
        return message
    }

    /// An event of its own: the account's number is in its phone.
    private func happens(_ number: Int, at server: TestServer) throws {
        let shop = try server.peer()
        let reply = try shop.exchange(shop.requestCode(account: "a\(number)", phone: "+3361234567\(number)"))
        #expect(reply.status == .done)
    }

    private func nextEvent(_ peer: RawPeer) throws -> EventPush {
        try #require(try peer.next()).decode(EventPush.self)
    }

    @Test func aCursorIsTakenUntilItsEventEnds() throws {
        let clock = StillClock()
        let server = try TestServer { $0.clockSource = { clock.source } }
        let first = try server.peer()
        #expect(try subscribe(first, .oldest, credit: 1).status == .done)
        let place = try nextEvent(first).cursor
        try happens(1, at: server)
        clock.pass(Self.keptMs - 1)
        let before = try server.peer()
        #expect(try subscribe(before, .afterCursor, after: place, credit: 10).status == .done)
        #expect(try nextEvent(before).kind == EventPush.Kind.codeRequested.rawValue)
        clock.pass(1)
        let after = try server.peer()
        #expect(try subscribe(after, .afterCursor, after: place, credit: 10).status == .cursorGone)
    }

    /// Found by `otp-sim run --seed 659`: its cursor was taken a day before its end, and while it read, events that it was due ended.
    @Test func whoFallsTooFarBehindIsTold() throws {
        let clock = StillClock()
        let server = try TestServer { $0.clockSource = { clock.source } }
        let slow = try server.peer()
        #expect(try subscribe(slow, .oldest, credit: 1).status == .done)
        let place = try nextEvent(slow).cursor
        try happens(1, at: server)
        clock.pass(Self.keptMs)
        try happens(2, at: server)
        try slow.send(credit(10))
        let end = try slow.goodbye()
        #expect(end.replies.allSatisfy { $0.flags == .reply })
        #expect(end.reason == .eventsGone)
        let again = try server.peer()
        #expect(try subscribe(again, .afterCursor, after: place, credit: 10).status == .cursorGone)
        #expect(try subscribe(again, .oldest, credit: 10).status == .done)
        #expect(try nextEvent(again).kind == EventPush.Kind.codeRequested.rawValue)
    }

    /// Nothing happened for longer than events are kept: who falls behind only then has lost nothing.
    @Test func quietMonthsLoseNothing() throws {
        let clock = StillClock()
        let server = try TestServer { $0.clockSource = { clock.source } }
        let slow = try server.peer()
        #expect(try subscribe(slow, .now, credit: 0).status == .done)
        clock.pass(2 * Self.keptMs)
        try happens(1, at: server)
        try happens(2, at: server)
        #expect(try slow.exchange(credit(10)).status == .done)
        for _ in 1...2 { #expect(try nextEvent(slow).kind == EventPush.Kind.codeRequested.rawValue) }
    }
}
