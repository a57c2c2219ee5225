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
}
