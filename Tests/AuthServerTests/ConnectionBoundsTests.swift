import Dispatch
import Foundation
import Glibc
import Testing
import Wire

@testable import AuthServer

/// Connections that hold places, dribble, or don't read: each has its bound, and honest peers are served meanwhile.
@Suite struct ConnectionBoundsTests {
    @Test func oneUidIsBounded() throws {
        let server = try TestServer {
            $0.maxConnections = 16
            $0.maxConnectionsPerUID = 3
        }
        let peers = try (0..<3).map { _ in try server.peer() }
        let end = try RawPeer(server.socket).goodbye()
        #expect(end.reason == .tooManyConnections && end.text.contains("max_connections_per_uid"))
        for peer in peers { #expect(try peer.exchange(Ping()).status == .done) }
    }

    @Test func aQuarterIsKeptForOtherUids() throws {
        var settings = try ServerSettings(
            dataPath: "d", masterKeyPath: "k", issuer: "i", tenants: [], listeners: [], peers: [])
        #expect(settings.connectionsPerUID == 768 && settings.maxConnections == 1_024)
        settings.maxConnections = 1
        #expect(settings.connectionsPerUID == 1)
    }

    @Test func silentOnesPushOutEachOther() throws {
        let server = try TestServer {
            $0.maxConnections = 8
            $0.maxConnectionsPerUID = 8
        }
        let welcome = try server.peer()
        let silent = try (0..<30).map { _ in try RawPeer(server.socket) }
        let late = try server.peer()
        #expect(try late.exchange(late.requestCode()).status == .done)
        #expect(try welcome.exchange(Ping()).status == .done)
        #expect(try silent[0].goodbye().reason == .tooManyConnections, "the one that has waited longest goes first")
        #expect(silent[29].isQuiet(), "the newest may still say Hello")
        try silent[29].hello()
    }

    @Test func halfAFrameHasADeadline() throws {
        let server = try TestServer { $0.frameMillis = 300 }
        let other = try server.peer()
        let dribbler = try server.peer()
        let frame = try dribbler.frame(dribbler.requestCode())
        let start = ContinuousClock.now
        // A byte now and then doesn't buy time.
        for byte in frame {
            guard dribbler.send([byte]) == 1, dribbler.isQuiet(milliseconds: 50) else { break }
        }
        #expect(try dribbler.goodbye().reason == .frameTimeout)
        #expect(ContinuousClock.now - start > .milliseconds(290))
        #expect(ContinuousClock.now - start < .seconds(4))
        #expect(try other.exchange(Ping()).status == .done)
        // Whole frames with pauses between them are no half frames.
        for _ in 0..<3 {
            #expect(try other.exchange(Ping()).status == .done)
            usleep(400_000)
        }
        #expect(try other.exchange(Ping()).status == .done)
    }

    /// The loop was busy for longer than a deadline: what came meanwhile is read before anyone is called late.
    @Test func theServersDelayIsNotThePeers() throws {
        let server = try TestServer {
            $0.frameMillis = 1_000
            $0.helloMillis = 1_000
        }
        let half = try server.peer()
        let frame = try half.frame(Ping())
        let (isBusy, isSent) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let loop = try #require(server.server.served).loop
        // Busy; then it has a moment to read half a frame and to accept; then it is busy for long. Only the loop's own time counts.
        loop.execute {
            isBusy.signal()
            isSent.wait()
        }
        isBusy.wait()
        half.send(Array(frame.prefix(5)))
        let late = try RawPeer(server.socket)
        isSent.signal()
        usleep(60_000)
        loop.execute {
            isBusy.signal()
            isSent.wait()
            usleep(1_500_000)
        }
        isBusy.wait()
        half.send(Array(frame.dropFirst(5)))
        late.send(try late.frame(Hello()))
        isSent.signal()
        #expect(try half.next()?.status == .done)
        #expect(try late.next()?.status == .done)
    }

    @Test func peersTimeGoesOnlyAsTheLoopDoes() {
        var clock = PeerClock(now: 1_000)
        #expect(clock.at(1_040) == 1_040)
        clock.tick(1_050)
        #expect(clock.at(1_050 + Bounds.lateTickMs) == 1_050 + Bounds.lateTickMs)
        #expect(clock.at(9_000) == 1_050 + Bounds.lateTickMs)
        clock.tick(9_000)
        #expect(clock.at(9_000) == 1_050 + Bounds.lateTickMs, "the rest of the delay doesn't come back")
        #expect(clock.at(9_050) == 1_100 + Bounds.lateTickMs)
    }

    /// Enough replies to fill the kernel's buffers and the output's bound.
    private func overfill(_ peer: RawPeer) throws { peer.send(Array(repeatElement(try encoded(Stats()), count: 2_000).joined())) }

    @Test func unreadRepliesHaveADeadline() throws {
        let server = try TestServer { $0.unreadMillis = 300 }
        let other = try server.peer()
        let deaf = try server.peer()
        try overfill(deaf)
        #expect(try eventually(seconds: 5) { try server.statistic("connections") == 2 }, "cut off: the asking peer and one more are left")
        #expect(try other.exchange(Ping()).status == .done)
    }

    /// Its replies have nowhere to go: epoll tells nothing of it, the failed send does.
    @Test func aPeerThatReadsNoMoreIsEnded() throws {
        let server = try TestServer()
        let (other, deaf) = (try server.peer(), try server.peer())
        shutdown(deaf.fd, Int32(SHUT_RD))
        try deaf.send(Ping())
        #expect(try eventually(seconds: 2) { try server.statistic("connections") == 2 }, "the asking peer and one more are left")
        #expect(try other.exchange(Ping()).status == .done)
    }

    @Test func aSlowReaderIsNotCutOff() throws {
        let server = try TestServer { $0.unreadMillis = 400 }
        let slow = try server.peer()
        try overfill(slow)
        for count in 0..<2_000 {
            #expect(try slow.next()?.status == .done)
            // A few times longer than the deadline in all, and always something left.
            if count % 100 == 0 { usleep(100_000) }
        }
        #expect(try slow.exchange(Ping()).status == .done)
    }

    /// Descriptors that a peer stuffs into its bytes are the kernel's to close: otpd reads without room for them.
    @Test func stuffedDescriptorsDoNotArrive() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let before = try descriptors()
        let frame = try peer.frame(Ping())
        for _ in 0..<200 { #expect(peer.send(frame, stuffedWith: 60)) }
        for _ in 0..<200 { #expect(try peer.next()?.status == .done) }
        #expect(try descriptors() == before)
    }

    private func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }

    /// The refusal says what to do, before anything listens.
    @Test func connectionsFitTheDescriptors() throws {
        let error = #expect(throws: (any Error).self) { _ = try TestServer { $0.maxConnections = 1 << 30 } }
        #expect("\(String(describing: error))".contains("LimitNOFILE"))
    }
}
