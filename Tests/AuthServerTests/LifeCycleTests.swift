import Foundation
import Glibc
import LibCrypto
import Store
import Synchronization
import Testing
import Wire

@testable import AuthServer

/// Start, stop, start again: what was answered stays, what is in flight is answered.
@Suite struct LifeCycleTests {
    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func stopAnswersWhatIsInFlight(_ mode: CommitMode)
        throws
    {
        let server = try TestServer { $0.commit = mode }
        let peer = try server.peer()
        let idle = try server.peer()
        var bytes: [UInt8] = []
        for number in 0..<Bounds.maxInFlight {
            bytes += try peer.frame(
                peer.requestCode(account: "a\(number)", phone: "+336123456\(10 + number)"))
        }
        peer.send(bytes)
        let start = ContinuousClock.now
        try server.stop()
        #expect(ContinuousClock.now - start < .seconds(2))
        let end = try peer.goodbye()
        #expect(end.reason == .shuttingDown)
        #expect(end.replies.filter { $0.status == .done }.count == Bounds.maxInFlight)
        #expect(try idle.goodbye().reason == .shuttingDown)
        #expect(throws: TestError.self) { try RawPeer(server.socket) }
    }

    @Test func theEventsOfALifeAreKept() throws {
        let server = try TestServer()
        try server.restart()
        let peer = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 100
        try peer.send(subscribe)
        var kinds: [UInt16] = []
        while kinds.count < 3 {
            let frame = try #require(try peer.next())
            if frame.flags == .push { kinds.append(try frame.decode(EventPush.self).kind) }
        }
        let expected: [EventPush.Kind] = [.serverStarted, .serverDraining, .serverStarted]
        #expect(kinds == expected.map(\.rawValue))
    }

    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func aUsedCodeStaysUsed(_ mode: CommitMode) throws {
        let server = try TestServer { $0.commit = mode }
        var peer = try server.peer()
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let right = code(in: try peer.nextMessage())
        let verify = peer.verify(challenge, right)
        let accepted = try peer.exchange(verify).decode(Verify.Reply.self)
        #expect(accepted.repeated == nil)
        try server.restart()
        peer = try server.peer()
        #expect(try peer.exchange(peer.verify(challenge, right)).status == .challengeNotOpen)
        let repeated = try peer.exchange(verify)
        #expect(repeated.status == .done)
        // The wall clock's word on the grant's end may differ by a little.
        let again = try repeated.decode(Verify.Reply.self)
        #expect(again.grant == accepted.grant && again.expiresAtMs == accepted.expiresAtMs, "the same request has the same outcome")
        #expect(again.repeated == 1 && again.purpose == accepted.purpose && again.issuer == accepted.issuer)
    }

    @Test func drainAsksTheOwnerToStop() throws {
        let asked = Mutex(0)
        let server = try TestServer(onDrain: { asked.withLock { $0 += 1 } })
        let peer = try server.peer()
        #expect(try peer.exchange(Drain()).status == .done)
        #expect(eventually { asked.withLock { $0 } == 1 })
        #expect(try peer.exchange(Ping()).status == .done, "it goes on until its owner stops it")
    }

    /// After a boot with the wall clock behind, open challenges are void: in that process and in every later one.
    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func aClockThatWentBackVoidsForGood(_ mode: CommitMode)
        throws
    {
        let clock = Mutex((boot: UInt64(1), wall: UInt64(1_800_000_000_000)))
        let server = try TestServer {
            $0.commit = mode
            $0.clockSource = {
                let now = clock.withLock { $0 }
                return ClockSource(bootID: (now.boot, 7), boottimeMs: { 1_000_000 }, wallMs: { now.wall })
            }
        }
        let before = try server.peer()
        let challenge = try before.exchange(before.requestCode()).decode(ChallengeReply.self).challenge
        let right = code(in: try before.nextMessage())
        clock.withLock { $0 = (2, $0.wall - 60_000) }
        for restart in ["the boot itself", "a restart in the same boot"] {
            try server.restart()
            let peer = try server.peer()
            #expect(peer.server.engineTimeMs >= before.server.engineTimeMs)
            #expect(
                try peer.exchange(peer.verify(challenge, right)).status == .challengeNotOpen, "\(restart)")
        }
        let peer = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 100
        try peer.send(subscribe)
        var kinds: [UInt16] = []
        while kinds.filter({ $0 == EventPush.Kind.serverStarted.rawValue }).count < 3 {
            let frame = try #require(try peer.next())
            if frame.flags == .push { kinds.append(try frame.decode(EventPush.self).kind) }
        }
        #expect(kinds.filter { $0 == EventPush.Kind.clockStepped.rawValue }.count == 1)
    }

    @Test func aSecondServerOnTheSameDataIsRefused() throws {
        let server = try TestServer()
        do {
            let store = try Store(
                opening: StoreOptions(path: server.folder.path + "/data", tables: StoreState.tables),
                master: try MasterKey.load(server.folder.path + "/master.key"))
            store.abandon()
            Issue.record("two servers on one data folder")
        } catch { #expect("\(error)".contains("in use by another otpd"), "\(error)") }
        #expect(try server.peer().exchange(Ping()).status == .done)
    }
}
