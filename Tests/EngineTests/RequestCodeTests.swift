import Testing
import Wire

@testable import Engine

/// RequestCode: created, joined or resent by the gap; what replaces a challenge and what doesn't.
@Suite struct RequestCodeTests {
    /// Steps at times after the first request; each boundary a millisecond before, on it and after.
    @Test(arguments: [
        ([0, 29_999], ["created", "joined"]),
        ([0, 30_000], ["created", "resent"]),
        ([0, 30_001], ["created", "resent"]),
        ([0, 30_000, 89_999], ["created", "resent", "joined"]),
        ([0, 30_000, 90_000], ["created", "resent", "resent"]),
        ([0, 30_000, 90_001], ["created", "resent", "resent"]),
        ([0, 30_000, 90_000, 209_999], ["created", "resent", "resent", "joined"]),
        ([0, 30_000, 90_000, 210_000], ["created", "resent", "resent", "limited challengeSends 30001"]),
        ([0, 299_999], ["created", "created"]),
        ([0, 240_000], ["created", "resent"]),
        ([0, 240_001], ["created", "created"]),
        ([0, 300_000], ["created", "created"]),
    ])
    func byTheGap(_ times: [UInt64], _ expected: [String]) {
        let world = World()
        let got = times.map { time in
            world.now = World.start + time
            return world.requestCode().text
        }
        #expect(got == expected)
    }

    @Test func theThirdGapIs120Seconds() throws {
        let world = World()
        _ = try world.open()
        for gap: UInt64 in [30_000, 60_000] {
            world.now += gap
            #expect(world.requestCode().text == "resent")
        }
        world.now += 119_999
        #expect(world.requestCode(session: 2).text == "limited resendGap 1")
        world.now += 1
        #expect(world.requestCode(session: 2).text == "created")
    }

    @Test func aResendRepeatsCodeLifeAndAttempts() throws {
        let world = World()
        let id = try world.open()
        let code = try world.code(of: id)
        #expect(world.verify(id, try world.wrongCode(of: id)).text == "wrongCode left 4")
        let end = try world.record(id).expiresAt
        for (gap, left): (UInt64, UInt8) in [(30_000, 1), (60_000, 0)] {
            world.now += gap
            let reply = try #require(world.resend(id).challenge)
            #expect(reply.challenge == id)
            #expect(reply.attemptsLeft == 4)
            #expect(reply.sendsLeft == left)
            #expect(reply.expiresAtMs == end)
            #expect(try world.code(of: id) == code)
        }
        world.now += 120_000
        #expect(world.resend(id).text == "startAnew challengeSends 30001")
    }

    @Test func joinedDebitsNothingAndSendsNothing() throws {
        let world = World()
        let id = try world.open()
        let phone = world.phoneRecord().bytes
        world.engine.beginBatch()
        world.now += 1
        let reply = try #require(world.requestCode().challenge)
        #expect(reply.challenge == id)
        #expect(reply.disposition == ChallengeReply.Disposition.joined.rawValue)
        #expect(world.phoneRecord().bytes == phone)
        #expect(world.engine.dueMessages.isEmpty)
        #expect(world.events.isEmpty)
    }

    @Test func theGapIsThePhonesOverSessionsAndAccounts() throws {
        let world = World()
        _ = try world.open(session: 1)
        world.now += 30_000
        let second = try world.open(session: 2)
        // The first session's own gap is over; the phone's isn't.
        world.now += 10_000
        #expect(world.requestCode(session: 1).text == "joined")
        #expect(world.requestCode("bob", session: 3).text == "limited resendGap 50000")
        #expect(world.requestCode(session: 4, purpose: 2).text == "limited resendGap 50000")
        #expect(world.cancel(second).text == "challengeNotOpen")
        #expect(world.cancel(second, session: 2).text == "done")
        #expect(world.requestCode(session: 2).text == "limited resendGap 50000")
        world.now += 50_000
        #expect(world.requestCode(session: 1).text == "resent")
    }

    @Test func aVerifyEndsTheGap() throws {
        let world = World()
        let id = try world.open()
        world.now += 1
        #expect(world.verify(id, try world.code(of: id)).text == "verified")
        #expect(world.requestCode().text == "created")
    }

    @Test func aNewPhoneInTheSameSessionSupersedes() throws {
        let world = World()
        let former = try world.open()
        let code = try world.code(of: former)
        let next = try world.open("alice", "+33612345679")
        #expect(former != next)
        #expect(world.status(former).text == "superseded")
        #expect(world.status(next).text == "open")
        #expect(world.verify(former, code).text == "challengeNotOpen")
        #expect(world.phoneRecord().classes[1].open.count == 0)
        #expect(world.phoneRecord("+33612345679").classes[1].open.count == 1)
        // Its send stays counted.
        #expect(world.phoneRecord().classes[1].sends.count == 1)
        world.now += 30_000
        #expect(world.requestCode().text == "created")
    }

    @Test func aRefusedNewPhoneLeavesTheFormerOpen() throws {
        let world = World(tenants: [World.tenant { $0.phonesPerAccountDay = 1 }])
        let former = try world.open()
        #expect(world.requestCode("alice", "+33612345679").text == "startAnew accountPhonesDay 86400000")
        #expect(world.status(former).text == "open")
    }

    @Test func anotherSessionPurposeOrAccountIsAnotherChallenge() throws {
        let world = World(tenants: [World.generous()])
        var ids = Set<Bytes16>()
        ids.insert(try world.open())
        for (account, session, purpose): (String, UInt64, UInt16) in [("alice", 2, 1), ("alice", 1, 2), ("bob", 1, 1)] {
            world.now += 120_000
            ids.insert(try world.open(account, session: session, purpose: purpose))
        }
        #expect(ids.count == 4)
    }

    @Test func usedUpAttemptsMakeRoomForANewChallenge() throws {
        let world = World()
        let id = try world.open()
        for number in 0..<5 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        #expect(world.status(id).text == "exhausted")
        #expect(world.requestCode().text == "limited resendGap 30000")
        world.now += 30_000
        let next = try world.open()
        #expect(next != id)
        #expect(world.status(next).statusReply?.attemptsLeft == 5)
        // No guess comes back: the streak goes on.
        #expect(world.streak().total == 5)
    }

    @Test func theGapStartsAnewWhenOldSendsHaveLeftTheDay() throws {
        let world = World()
        let id = try world.open()
        world.now += 200_000
        _ = world.verify(id, try world.wrongCode(of: id))
        // The record lives on through the wrong guess, its send is older than a day.
        world.now = World.start + RuleBounds.dayMs
        let reply = try #require(world.requestCode().challenge)
        #expect(reply.resendAtMs == world.now + 30_000)
        world.now += 30_000
        #expect(world.requestCode().text == "resent")
    }

    @Test func aReplySaysWhatItIsAbout() throws {
        let purpose = World.purpose(9) { purpose in
            purpose.alphabet = .lettersAndDigits
            purpose.codeLength = 10
            purpose.lifeMs = 120_000
            purpose.attempts = 3
            purpose.sendsPerChallenge = 2
        }
        let world = World(tenants: [World.tenant { $0.purposes = [purpose] }])
        let reply = try #require(world.requestCode(purpose: 9).challenge)
        #expect(reply.codeLength == 10)
        #expect(reply.alphabet == 2)
        #expect(reply.attemptsLeft == 3)
        #expect(reply.sendsLeft == 1)
        #expect(reply.expiresAtMs == world.now + 120_000)
        #expect(reply.resendAtMs == world.now + 30_000)
        #expect(reply.challenge.timeMs == world.now)
    }
}
