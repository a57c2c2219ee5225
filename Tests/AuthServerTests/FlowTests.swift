import Testing
import Wire

@testable import AuthServer

/// What couriers and subscribers may say of their flows.
@Suite struct FlowTests {
    @Test(
        arguments: [
            (0, 15_000), (1, 500), (499, 500), (700, 700), (15_000, 15_000), (60_000, 15_000),
            (UInt32.max, 15_000),
        ] as [(UInt32, UInt32)])
    func aLeaseHasAFloorAndACap(_ wanted: UInt32, _ given: UInt32) throws {
        let server = try TestServer()
        let courier = try server.peer()
        var message = LeaseMessages()
        message.leaseMs = 700
        #expect(try courier.exchange(message).decode(LeaseMessages.Reply.self).leaseMs == 700)
        message.leaseMs = wanted
        #expect(try courier.exchange(message).decode(LeaseMessages.Reply.self).leaseMs == given)
    }

    @Test func creditWithoutAFlowIsRefused() throws {
        let server = try TestServer()
        let peer = try server.peer()
        var credit = Acknowledge()
        credit.credit = 10
        #expect(try peer.exchange(credit).status == .cursorGone)
        var subscribe = Subscribe()
        (subscribe.start, subscribe.cursor) = (
            Subscribe.Start.afterCursor.rawValue, Cursor(epoch: 99, sequence: 1, index: 0)
        )
        #expect(try peer.exchange(subscribe).status == .cursorGone)
        #expect(try peer.exchange(credit).status == .cursorGone)
        subscribe.start = Subscribe.Start.now.rawValue
        #expect(try peer.exchange(subscribe).status == .done)
        #expect(try peer.exchange(credit).status == .done)
    }

    /// The cursor of zeros is before every event: the first is the start's own.
    @Test func afterTheCursorOfZerosComesTheOldestEvent() throws {
        let server = try TestServer()
        let peer = try server.peer()
        #expect(try peer.exchange(peer.requestCode()).status == .done)
        var subscribe = Subscribe()
        (subscribe.start, subscribe.credit) = (Subscribe.Start.afterCursor.rawValue, 10)
        #expect(try peer.exchange(subscribe).status == .done)
        let kinds = try (0..<2).map { _ in try #require(try peer.next()).decode(EventPush.self).kind }
        #expect(kinds == [EventPush.Kind.serverStarted.rawValue, EventPush.Kind.codeRequested.rawValue])
    }
}
