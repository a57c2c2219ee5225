import Glibc
import Testing
import Wire

@testable import AuthServer

/// A subscriber hears of its own tenant and of the server, live and from the store.
@Suite struct EventFeedTests {
    private func subscribe(_ peer: RawPeer, _ start: Subscribe.Start) throws {
        var message = Subscribe()
        message.start = start.rawValue
        message.credit = 1_000
        #expect(try peer.exchange(message).status == .done)
    }

    private func events(_ peer: RawPeer) throws -> [EventPush] {
        var found: [EventPush] = []
        while !peer.isQuiet(milliseconds: 150) {
            found.append(try #require(try peer.next()).decode(EventPush.self))
        }
        return found
    }

    @Test func eachTenantHearsItsOwn() throws {
        let server = try TestServer()
        let live = (one: try server.peer(), two: try server.peer(at: server.otherSocket))
        try subscribe(live.one, .now)
        try subscribe(live.two, .now)
        let (one, two) = (try server.peer(), try server.peer(at: server.otherSocket))
        for number in 0..<3 {
            let account = "a\(number)"
            #expect(
                try one.exchange(one.requestCode(account: account, phone: "+3361234567\(number)")).status
                    == .done)
        }
        #expect(try two.exchange(two.requestCode()).status == .done)
        #expect(try events(live.one).map(\.tenant) == [1, 1, 1])
        #expect(try events(live.two).map(\.tenant) == [2])
        let paged = (one: try server.peer(), two: try server.peer(at: server.otherSocket))
        try subscribe(paged.one, .oldest)
        try subscribe(paged.two, .oldest)
        #expect(try events(paged.one).map(\.tenant) == [0, 1, 1, 1])
        #expect(try events(paged.two).map(\.tenant) == [0, 2])
    }

    /// More subscribers than one batch's pushes reach: those who are left out take pages, nobody misses an event or hears it twice.
    @Test func everySubscriberHearsEverything() throws {
        let server = try TestServer()
        let subscribers = try (0..<Bounds.maxPushes + 20).map { _ in try server.peer() }
        for peer in subscribers { try subscribe(peer, .now) }
        let shop = try server.peer()
        for number in 0..<5 {
            let reply = try shop.exchange(shop.requestCode(account: "a\(number)", phone: "+3361234567\(number)"))
            #expect(reply.status == .done)
        }
        for peer in subscribers {
            let heard = try (0..<5).map { _ in try #require(try peer.next()).decode(EventPush.self) }
            #expect(heard.map(\.kind) == Array(repeating: EventPush.Kind.codeRequested.rawValue, count: 5))
            #expect(zip(heard, heard.dropFirst()).allSatisfy { $0.cursor < $1.cursor })
            #expect(peer.isQuiet(milliseconds: 1))
        }
    }

    @Test func oneUserHasABoundedNumberOfSubscribers() throws {
        let server = try TestServer()
        var subscribers = try (0..<Bounds.maxSubscribersPerUID).map { _ in try server.peer() }
        for peer in subscribers { try subscribe(peer, .now) }
        let late = try server.peer()
        #expect(try late.exchange(Subscribe()).status == .overloaded)
        // Who has one may begin anew, and a place that is left is free.
        try subscribe(subscribers[0], .now)
        subscribers.removeLast()
        var message = Subscribe()
        message.start = Subscribe.Start.now.rawValue
        message.credit = 1
        var status: Status?
        for _ in 0..<100 where status != .done {
            status = try late.exchange(message).status
            if status != .done { usleep(10_000) }
        }
        #expect(status == .done)
    }
}
