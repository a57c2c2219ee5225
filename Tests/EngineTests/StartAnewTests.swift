import Testing
import Wire

@testable import Engine

/// Waits that can come true: a refusal that may be repeated passes after its wait; where only another request
/// can, it says so and when.
@Suite struct StartAnewTests {
    /// Near its end a code isn't sent again: RequestCode opens another challenge at once, debited as one.
    @Test func nearTheEndAnotherChallengeIsOpened() throws {
        let world = World()
        let id = try world.open()
        world.now += 240_000
        #expect(world.resend(id).text == "resent")
        world.now += 59_000
        #expect(world.resend(id).text == "startAnew resendGap 1000")
        world.now = World.start + 299_999
        let other = try world.open("bob", "+33612345679")
        world.now = World.start + 310_000
        #expect(world.requestCode().text == "created", "the first is over")
        world.now = World.start + 310_000 + 240_001
        let sends = world.phoneRecord("+33612345679").classes[1].sends.count
        #expect(world.status(other).text == "open")
        #expect(world.resend(other).text == "startAnew")
        #expect(world.resend(other).refusal?.neutral == NeutralClass.restart.rawValue)
        let reply = world.requestCode("bob", "+33612345679")
        #expect(reply.text == "created" && world.kinds == [.challengeSuperseded, .codeRequested])
        #expect(world.status(other).text == "superseded")
        #expect(world.phoneRecord("+33612345679").classes[1].sends.count == sends + 1)
        #expect(world.phoneRecord("+33612345679").classes[1].open.count == 1)
        #expect(world.verify(other, try world.code(of: other)).text == "challengeNotOpen")
    }

    /// What a Resend is told is when RequestCode sends, to the millisecond.
    @Test(arguments: [30_000, 90_000, 210_000, 239_999, 240_000, 240_001, 270_000, 299_999] as [UInt64])
    func aResendsWaitIsRequestCodes(_ age: UInt64) throws {
        let world = World()
        let id = try world.open()
        for time: UInt64 in [30_000, 90_000] where time < age {
            world.now = World.start + time
            #expect(world.resend(id).text == "resent")
        }
        world.now = World.start + age
        let rows = world.state.withoutEvents
        guard let refusal = world.resend(id).refusal else { return }
        #expect(world.state.withoutEvents == rows, "a refusal debits nothing")
        #expect(refusal.status == .startAnew)
        let wait = UInt64(refusal.retryAfterMs)
        if wait > 0 {
            #expect(refusal.neutral == NeutralClass.wait.rawValue)
            world.now += wait - 1
            let early = world.requestCode()
            #expect(early.refusal != nil || early.text == "joined", "\(early.text)")
            world.now += 1
        }
        #expect(["created", "resent"].contains(world.requestCode().text), "after \(wait) ms")
    }

    /// A wait beyond the challenge's life is no wait of a Resend's; within it, it is.
    @Test func aWaitBeyondTheChallengeIsNone() throws {
        let world = World(tenants: [World.generous { $0.unverifiedPerHour = 2 }])
        _ = try world.open("bob")
        world.now += 30_000
        let id = try world.open()
        world.now += 120_000
        #expect(world.resend(id).text == "startAnew phoneUnverifiedHour 3450000")
        world.now += RuleBounds.hourMs - 150_000 - 60_000
        // Now the hour ends within the life of a challenge that another limit lets open.
        world.now += 60_000
        let next = try world.open("carol")
        #expect(world.resend(next).text == "limited resendGap 120000")
    }

    /// The same for a request id: what is told to wait passes with the same bytes.
    @Test(arguments: [0, 600_000, 630_000, 630_001, 659_000] as [UInt64]) func aWaitBeyondTheRequestIDIsNone(
        _ age: UInt64
    ) throws {
        let world = World()
        _ = try world.open("bob")
        let id = world.newID(world.now - age)
        let refusal = try #require(world.requestCode(id: id).refusal)
        #expect(refusal.limit == .resendGap && refusal.retryAfterMs == 30_000)
        #expect(refusal.status == (age <= 630_000 ? .limited : .startAnew))
        #expect(refusal.neutral == NeutralClass.wait.rawValue)
        world.now += 30_000
        #expect(world.requestCode(id: id).text == (age <= 630_000 ? "created" : "requestTooOld"))
        #expect(world.requestCode(session: 7).refusal?.status != .startAnew)
    }

    /// The rate of guesses: a wait that ends after the challenge is none of its.
    @Test func aGuessThatMustWaitTooLong() throws {
        let world = World(tenants: [World.generous { $0.verifiesPerPhoneMinute = 1 }])
        let id = try world.open()
        world.now += 239_999
        _ = world.verify(id, try world.wrongCode(of: id))
        #expect(world.verify(id, try world.code(of: id)).text == "limited phoneVerifyMinute 60000")
        world.now += 1
        let other = try world.open("bob")
        world.now += 59_998
        #expect(world.verify(other, try world.wrongCode(of: other, 1)).text == "limited phoneVerifyMinute 1")
        world.now += 1
        _ = world.verify(other, try world.wrongCode(of: other, 1))
        // A millisecond before its end.
        #expect(world.verify(id, try world.code(of: id)).text == "startAnew phoneVerifyMinute 1")
    }

    // MARK: resend_at

    /// Another session's message extends the phone's gap; whoever reads resend_at is told so.
    @Test func resendAtIsTheLaterOfTheTwo() throws {
        let world = World()
        let first = world.newID()
        let reply = try #require(world.requestCode(id: first).challenge)
        #expect(reply.resendAtMs == world.now + 30_000)
        world.now += 30_000
        let other = try #require(world.requestCode(session: 2).challenge)
        let end = world.now + 60_000
        #expect(other.resendAtMs == end)
        #expect(world.status(reply.challenge).statusReply?.resendAtMs == end)
        #expect(world.requestCode().challenge?.resendAtMs == end)
        #expect(world.requestCode(id: first).challenge?.resendAtMs == end, "a retry is told what is true now")
        world.now = end - 1
        #expect(world.resend(reply.challenge).text == "limited resendGap 1")
        world.now = end
        #expect(world.resend(reply.challenge).text == "resent")
        // Another class's messages don't.
        let mine = try #require(world.status(reply.challenge).statusReply?.resendAtMs)
        _ = try world.open(session: 9, as: .anonymous)
        #expect(world.status(reply.challenge).statusReply?.resendAtMs == mine)
        // A right code ends the phone's gap, not the challenge's own.
        #expect(
            world.verify(other.challenge, try world.code(of: other.challenge), session: 2).text == "verified")
        #expect(world.status(reply.challenge).statusReply?.resendAtMs == mine)
        #expect(world.resend(reply.challenge).text == "limited resendGap 120000")
    }

    // MARK: classes in one session

    @Test func aLowerClassDoesntCloseAHighersChallenge() throws {
        let world = World()
        let owner = try world.open()
        let stranger = try world.open(as: .anonymous)
        let device = try world.open(as: .knownDevice)
        for (id, asker) in [(owner, Assurance.firstFactor), (stranger, .anonymous), (device, .knownDevice)] {
            #expect(world.status(id).text == "open")
            #expect(world.requestCode(as: asker).challenge?.challenge == id, "joined in its own class")
        }
        // The stranger's next phone closes the stranger's.
        _ = try world.open("alice", "+33612345679", as: .anonymous)
        #expect(world.status(stranger).text == "superseded" && world.status(owner).text == "open")
        #expect(world.verify(owner, try world.code(of: owner)).text == "verified")
        #expect(world.requestCode(as: .knownDevice).challenge?.challenge == device)
        #expect(world.cancel(device).text == "done")
    }

    /// Ten wrong codes of a stranger's a minute leave the owner's right one alone.
    @Test func strangersGuessesDontUseUpTheOwners() throws {
        let world = World()
        let owner = try world.open()
        let ids = try (2...4).map { (session: UInt64) in
            defer { world.now += 60_000 }
            return try #require(
                world.requestCode("alice", World.phone, session: session, as: .anonymous).challenge
            ).challenge
        }
        // All within one minute.
        for (id, session) in zip(ids, 2...3) {
            for number in 0..<5 {
                _ = world.verify(id, try world.wrongCode(of: id, number), session: UInt64(session))
            }
        }
        let more = world.verify(ids[2], try world.wrongCode(of: ids[2]), session: 4)
        #expect(more.text.hasPrefix("limited"), "\(more)")
        #expect(world.verify(owner, try world.code(of: owner)).text == "verified")
    }
}
