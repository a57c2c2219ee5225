import Engine
import Testing
import Wire

@testable import AuthServer

/// What PROTOCOL says of times and counts that a client can't see in one reply.
@Suite struct LifeAndCountTests {
    /// States 2 to 6 are answered for until 22 minutes after the time in the challenge's id, not longer.
    @Test func statusAnswersForTwentyTwoMinutes() throws {
        let clock = StillClock()
        let server = try TestServer { settings in settings.clockSource = { clock.source } }
        let peer = try server.peer()
        let cancelled = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        var cancel = Cancel()
        (cancel.requestID, cancel.challenge, cancel.session) = (peer.requestID(), cancelled, testSession)
        #expect(try peer.exchange(cancel).status == .done)
        let expired = try peer.exchange(peer.requestCode(account: "bob", phone: "+33612345679")).decode(
            ChallengeReply.self
        ).challenge
        #expect(cancelled.timeMs == expired.timeMs, "the clock stands still")
        let states = [(cancelled, StatusRequest.State.cancelled), (expired, .expired)]
        clock.pass(1_320_000 - 1)
        for (challenge, state) in states {
            #expect(try peer.status(challenge).decode(StatusRequest.Reply.self).state == state.rawValue)
        }
        clock.pass(1)
        for (challenge, _) in states { #expect(try peer.status(challenge).status == .challengeNotOpen) }
    }

    /// Limit 14 counts codes that were compared, in the minute before; a repeated Verify isn't one.
    @Test func onlyComparedCodesCountForTheMinute() throws {
        let clock = StillClock()
        let server = try TestServer { settings in
            settings.clockSource = { clock.source }
            settings.tenants[0].verifiesPerPhoneMinute = 2
        }
        let peer = try server.peer()
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        let wrong = wrongCode(for: code(in: try peer.nextMessage()))
        for _ in 0..<2 {
            let guess = peer.verify(challenge, wrong)
            for _ in 0..<3 { #expect(try peer.exchange(guess).status == .wrongCode) }
            clock.pass(1_000)
        }
        let refusal = try peer.exchange(peer.verify(challenge, wrong)).refusal()
        #expect(refusal.limitCode == Limit.phoneVerifyMinute.rawValue && refusal.retryAfterMs == 58_000)
        clock.pass(58_000)
        #expect(try peer.exchange(peer.verify(challenge, wrong)).status == .wrongCode)
    }

    /// The status of an event is a refusal's: kinds 3 and 19. A wrong code is said by its kind.
    @Test func aWrongCodesEventHasNoStatus() throws {
        let server = try TestServer()
        let (watcher, peer) = (try server.peer(), try server.peer())
        var subscribe = Subscribe()
        subscribe.credit = 10
        #expect(try watcher.exchange(subscribe).status == .done)
        let challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
        #expect(
            try peer.exchange(peer.verify(challenge, wrongCode(for: code(in: try peer.nextMessage())))).status
                == .wrongCode)
        var found: EventPush?
        while found?.kind != EventPush.Kind.wrongCode.rawValue {
            found = try #require(try watcher.next()).decode(EventPush.self)
        }
        #expect(found?.status == 0 && found?.attemptsLeft == 4)
    }
}
