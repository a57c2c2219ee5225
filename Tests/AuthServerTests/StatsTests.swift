import Store
import Testing
import Wire

@testable import AuthServer

/// The counters' text: it fits its field at its worst, and counts what happened.
@Suite struct StatsTests {
    @Test func theTextFitsItsFieldAndHasOnePairALine() throws {
        let server = try TestServer()
        let text = try server.peer().exchange(Stats()).decode(Stats.Reply.self).lines.text
        #expect(text.hasSuffix("\n"))
        let lines = text.split(separator: "\n")
        var names: Set<Substring> = []
        for line in lines {
            let pair = line.split(separator: " ")
            #expect(pair.count == 2 && UInt64(pair[1]) != nil, "\(line)")
            names.insert(pair[0])
        }
        #expect(names.count == lines.count)
        // Every number at its longest, 20 digits.
        let worst = names.map { $0.utf8.count + 1 + 20 + 1 }.reduce(0, +)
        #expect(worst <= 3_500, "\(worst) bytes")
    }

    @Test func countsWhatHappened() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let right = code(in: try peer.nextMessage())
        try peer.exchange(peer.verify(challenge, wrongCode(for: right)))
        let grant = try peer.exchange(peer.verify(challenge, right)).decode(Verify.Reply.self).grant
        var redeem = RedeemGrant()
        redeem.requestID = peer.requestID()
        redeem.grant = grant
        redeem.purpose = 1
        redeem.account = AccountBytes("alice")
        redeem.session = testSession
        #expect(try peer.exchange(redeem).status == .done)
        var bad = peer.requestCode()
        bad.phone = PhoneBytes("0612345678")
        try peer.exchange(bad)
        for (name, value) in [
            ("challenges_created_total", UInt64(1)), ("verified_total", 1), ("grants_redeemed_total", 1),
            ("refused_total", 2), ("wrong_codes_total", 1), ("limited_total", 0), ("overloaded_total", 0),
            ("frame_errors_total", 0), ("epoch", 1),
        ] {
            #expect(try server.statistic(name) == value, "\(name)")
        }
    }

    /// A request that is sent again is answered again and did nothing; a look at a grant spends none.
    @Test func whatIsRepeatedIsCountedOnce() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let request = peer.requestCode()
        let challenge = try peer.exchange(request).decode(ChallengeReply.self).challenge
        let right = code(in: try peer.nextMessage())
        let (wrong, verify) = (peer.verify(challenge, wrongCode(for: right)), peer.verify(challenge, right))
        for _ in 0..<4 { #expect(try peer.exchange(request).status == .done) }
        for _ in 0..<4 { #expect(try peer.exchange(wrong).status == .wrongCode) }
        let grant = try peer.exchange(verify).decode(Verify.Reply.self).grant
        for _ in 0..<4 { #expect(try peer.exchange(verify).decode(Verify.Reply.self).grant == grant) }
        var check = CheckGrant()
        (check.grant, check.purpose, check.account, check.session) = (
            grant, 1, AccountBytes("alice"), testSession
        )
        for _ in 0..<4 { #expect(try peer.exchange(check).status == .done) }
        #expect(try server.statistic("grants_redeemed_total") == 0)
        var redeem = RedeemGrant()
        (redeem.requestID, redeem.grant, redeem.purpose) = (peer.requestID(), grant, 1)
        (redeem.account, redeem.session) = (check.account, testSession)
        for _ in 0..<4 { #expect(try peer.exchange(redeem).status == .done) }
        for name in [
            "challenges_created_total", "verified_total", "grants_redeemed_total", "wrong_codes_total",
        ] {
            #expect(try server.statistic(name) == 1, "\(name)")
        }
    }

    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func syncsAreTimed(_ mode: CommitMode) throws {
        let server = try TestServer { $0.commit = mode }
        let peer = try server.peer()
        _ = try peer.exchange(peer.requestCode())
        #expect(try server.statistic("journal_sync_mean_ns") > 0)
    }

    @Test func limitsAreCounted() throws {
        let server = try TestServer()
        let peer = try server.peer()
        #expect(try peer.exchange(peer.requestCode()).status == .done)
        var again = peer.requestCode()
        again.session = .init(head: Bytes16(high: 9, low: 9), tail: .zero)
        let refusal = try peer.exchange(again).refusal()
        #expect(refusal.status == .limited && refusal.limit == .resendGap && refusal.retryAfterMs > 0)
        #expect(try server.statistic("limited_total") == 1)
    }
}
