import Glibc
import Testing
import Wire

@testable import AuthServer

/// The first frame: who, as whom, in which version; and what happens without it.
@Suite struct HelloTests {
    @Test func tellsWhatTheConnectionMayDo() throws {
        let server = try TestServer()
        let reply = try server.peer().server
        #expect(reply.version == 1)
        #expect(reply.tenant == 1)
        #expect(reply.roles == Roles.all.rawValue)
        #expect(reply.epoch == 1)
        #expect(reply.maxFrameBytes == 4_096)
        #expect(reply.maxInFlight == 64)
        #expect(reply.requestAgeSeconds == 660)
        #expect(reply.issuer.text == "test")
        #expect(reply.server.text.hasPrefix("otpd "))
        let now = UInt64(time(nil)) * 1_000
        #expect(reply.engineTimeMs + 60_000 > now && reply.engineTimeMs < now + 60_000)
        #expect(try server.peer(at: server.otherSocket).server.tenant == 2)
        #expect(try server.peer(at: server.verifySocket).server.roles == Role.verify.rawValue)
        #expect(try server.peer(roles: [Roles(.redeem), Roles(.admin)]).server.roles == 0x42)
    }

    private func ends(_ server: TestServer, at path: String? = nil, _ change: (inout Hello) -> Void) throws
        -> Goodbye.Reason?
    {
        let peer = try RawPeer(path ?? server.socket)
        var hello = Hello()
        change(&hello)
        // A request right behind it isn't decided when Hello fails.
        peer.send(try peer.frame(hello) + peer.frame(Ping()))
        let end = try peer.goodbye()
        #expect(end.replies.isEmpty)
        return end.reason
    }

    @Test func eachWrongHelloHasItsReason() throws {
        let server = try TestServer()
        #expect(try ends(server) { $0.magic = 0x6F74_7065 } == .badMagic)
        #expect(try ends(server) { ($0.minVersion, $0.maxVersion) = (2, 9) } == .unsupportedVersion)
        #expect(try ends(server) { ($0.minVersion, $0.maxVersion) = (0, 0) } == .unsupportedVersion)
        #expect(try ends(server) { $0.tenant = 2 } == .notPermitted)
        #expect(try ends(server) { $0.tenant = 77 } == .notPermitted)
        #expect(try ends(server, at: server.otherSocket) { $0.tenant = 1 } == .notPermitted)
        #expect(try ends(server, at: server.verifySocket) { $0.roles = Role.admin.rawValue } == .notPermitted)
        #expect(try ends(server) { $0.roles = 0x8000 } == .notPermitted)
        let peer = try server.peer()
        #expect(try peer.exchange(Ping()).status == .done)
    }

    @Test func anythingElseFirstEndsTheConnection() throws {
        let server = try TestServer()
        let frames = [
            RawFrame(.ping, body: be(UInt64(1))), RawFrame(0x7777), RawFrame(.goodbye),
            RawFrame(.stats),
        ]
        for frame in frames {
            let peer = try RawPeer(server.socket)
            peer.send(frame.bytes)
            #expect(try peer.goodbye().reason == .helloExpected)
        }
    }

    @Test func aHelloOfWrongFormEndsTheConnection() throws {
        let server = try TestServer()
        let good = try RawFrame(Hello()).body
        for body in [[], Array(good.dropLast()), good + [1], good + tag(9, critical: true, [1])] {
            let peer = try RawPeer(server.socket)
            peer.send(RawFrame(.hello, body: body).bytes)
            #expect(try peer.goodbye().reason == .badBody)
        }
        // What may be skipped is skipped.
        let peer = try RawPeer(server.socket)
        peer.send(RawFrame(.hello, body: good + tag(9, [1])).bytes)
        #expect(try peer.next()?.status == .done)
    }

    @Test func twoVersionsInCommonAreFine() throws {
        let server = try TestServer()
        let peer = try RawPeer(server.socket)
        var hello = Hello()
        (hello.minVersion, hello.maxVersion) = (0, 700)
        #expect(try peer.exchange(hello).decode(Hello.Reply.self).version == 1)
    }

    @Test func requestsRightBehindHelloAreAnswered() throws {
        let server = try TestServer()
        let peer = try RawPeer(server.socket)
        peer.send(try peer.frame(Hello()) + peer.frame(Ping()) + peer.frame(Stats()))
        #expect(
            try [peer.next()?.status, peer.next()?.status, peer.next()?.status] == [.done, .done, .done])
    }

    @Test func helloHasADeadline() throws {
        #expect(Bounds.helloSeconds == 2)
        let server = try TestServer { $0.helloMillis = 150 }
        let welcome = try server.peer()
        let silent = try RawPeer(server.socket)
        let slow = try RawPeer(server.socket)
        slow.send(Array(try slow.frame(Hello()).dropLast()))
        let start = ContinuousClock.now
        #expect(try silent.goodbye().reason == .helloTimeout)
        #expect(ContinuousClock.now - start > .milliseconds(100))
        #expect(try slow.goodbye().reason == .helloTimeout)
        #expect(try welcome.exchange(Ping()).status == .done, "who said Hello may be silent")
    }

    @Test func connectionsHaveABound() throws {
        let server = try TestServer {
            $0.maxConnections = 3
            $0.maxConnectionsPerUID = 3
        }
        var peers = try (0..<3).map { _ in try server.peer() }
        let refused = try RawPeer(server.socket)
        #expect(try refused.goodbye().reason == .tooManyConnections)
        for peer in peers { #expect(try peer.exchange(Ping()).status == .done) }
        peers.removeLast().close()
        #expect(
            eventually {
                do { return try server.peer().exchange(Ping()).status == .done } catch { return false }
            }, "a place that was left is free")
    }
}
