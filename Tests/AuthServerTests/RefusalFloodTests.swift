import Glibc
import Synchronization
import Testing
import Wire

@testable import AuthServer

/// A flood of requests that are all refused writes next to nothing, and stops nobody from verifying.
@Suite struct RefusalFloodTests {
    @Test func refusalsAreTenEventsAndACount() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let code = code(in: try server.peer().nextMessage())
        let before = try server.statistic("journal_commits_total")
        let flood = 500
        var refused = 0
        for number in 0..<flood {
            var request = peer.requestCode()
            // Another session: a new challenge, which the gap refuses.
            request.session = Bytes32(head: Bytes16(high: UInt64(number), low: 9), tail: Bytes16(high: 9, low: 9))
            let reply = try peer.exchange(request)
            if reply.status == .limited { refused += 1 }
            if number == flood / 2 {
                #expect(try peer.exchange(peer.verify(challenge, wrongCode(for: code))).status == .wrongCode, "guesses are counted as ever")
            }
        }
        #expect(refused == flood)
        // Ten and the odd one; twenty if a minute ended in between.
        #expect(try server.statistic("journal_commits_total") < before + 30)
        #expect(try peer.exchange(peer.verify(challenge, code)).status == .done, "a flood on the phone doesn't stop its verify")

        try server.restart()
        let watcher = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 200
        try watcher.send(subscribe)
        var (told, counted) = (0, 0)
        while !watcher.isQuiet(), let frame = try watcher.next() {
            guard frame.flags == .push else { continue }
            let event = try frame.decode(EventPush.self)
            if event.kind == EventPush.Kind.requestRefused.rawValue { told += 1 }
            if event.kind == EventPush.Kind.refusalsCounted.rawValue {
                counted += Int(event.count ?? 0)
                #expect(event.tenant == 1 && event.status == Status.limited.rawValue)
            }
        }
        #expect(told + counted == flood, "\(told) told, \(counted) counted")
        #expect((10...20).contains(told))
    }

    /// Lookups, missing roles and users without a place at this socket: counted, never a write of their own; the log names the users.
    @Test func whatMayNotWriteIsCounted() throws {
        let clock = StillClock()
        let lines = Mutex<[String]>([])
        let server = try TestServer { settings in
            settings.clockSource = { clock.source }
            settings.peers.removeAll { $0.tenant == 2 }
        }
        try server.inLoop { batch in batch.refusedPeers.remark = { line in lines.withLock { $0.append(line) } } }
        let narrow = try server.peer(at: server.verifySocket)
        let wide = try server.peer()
        let before = try server.statistic("journal_commits_total")
        for _ in 0..<5 { #expect(try narrow.exchange(Stats()).status == .notPermitted) }
        for number: UInt64 in 0..<7 {
            var check = CheckGrant()
            (check.grant.head.low, check.purpose) = (number, 1)
            #expect(try wide.exchange(check).status == .grantInvalid)
            #expect(try wide.status(Bytes16(high: number, low: 1)).status == .challengeNotOpen)
        }
        for _ in 0..<3 {
            let stranger = try RawPeer(server.otherSocket)
            try stranger.send(Hello())
            #expect(try stranger.goodbye().reason == .notPermitted)
        }
        #expect(try server.statistic("journal_commits_total") == before)
        #expect(try server.statistic("peers_refused_total") == 3)
        lines.withLock { #expect($0.count == 1 && $0[0].contains("uid \(geteuid()) at \(server.otherSocket)")) }
        clock.pass(61_000)
        #expect(try eventually { try server.statistic("journal_commits_total") > before })
        var subscribe = Subscribe()
        (subscribe.start, subscribe.credit) = (Subscribe.Start.oldest.rawValue, 100)
        let watcher = try server.peer()
        try watcher.send(subscribe)
        var counts: [String: UInt64] = [:]
        while !watcher.isQuiet(), let frame = try watcher.next() {
            guard frame.flags == .push, frame.opcode == Opcode.event.rawValue else { continue }
            let event = try frame.decode(EventPush.self)
            guard event.kind == EventPush.Kind.refusalsCounted.rawValue, let status = Status(rawValue: event.status) else { continue }
            counts["\(event.tenant) \(status)"] = event.count
        }
        #expect(counts == ["1 notPermitted": 5, "1 grantInvalid": 7, "1 challengeNotOpen": 7, "0 notPermitted": 3])
    }
}
