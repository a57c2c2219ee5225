import Testing
import Wire

@testable import Engine

/// Failures in a row on one (account, phone): over challenges, resends and sessions, up to blocks and the end of the factor.
@Suite struct StreakTests {
    static let minute: UInt64 = 60_000

    /// Guesses wrong `count` times on fresh challenges, waiting out what has to be waited out; returns the answers' texts.
    static func fail(_ world: World, _ count: Int, purpose: UInt16 = 1) throws {
        var id: Bytes16?
        for number in 0..<count {
            if number % 5 == 0 {
                world.now += RuleBounds.hourMs
                id = try world.open(session: UInt64(number + 1), purpose: purpose)
            }
            let challenge = try #require(id)
            let reply = world.verify(
                challenge, try world.wrongCode(of: challenge, number % 5), session: UInt64(number - number % 5 + 1),
                id: world.newID())
            #expect(reply.text == "wrongCode left \(4 - number % 5)", "failure \(number + 1)")
        }
    }

    @Test(arguments: [
        (StreakPolicy.psd2Payment, [5, 10, 15, 20], [15, 30, 60, 60] as [UInt64]),
        (.shopLogin, [20, 25, 30, 35], [15, 30, 60, 60]),
    ])
    func blocksGrow(_ policy: StreakPolicy, _ failures: [Int], _ minutes: [UInt64]) {
        var streak = StreakRecord()
        var got: [Int: UInt64] = [:]
        for failure in 1...failures[3] {
            let block = streak.fail(1, policy: policy, now: 1_000)
            if block > 0 { got[failure] = block }
            if block > 0 { #expect(streak.blockedUntil[1] == 1_000 + block) }
        }
        #expect(got == Dictionary(uniqueKeysWithValues: zip(failures, minutes.map { $0 * Self.minute })))
    }

    @Test func fiveFailuresOnAPaymentBlockRequestAndVerify() throws {
        let world = World()
        try Self.fail(world, 5, purpose: 2)
        #expect(world.kinds == [.wrongCode, .attemptsExhausted, .accountBlocked])
        let block = "blocked failureStreak \(15 * Self.minute)"
        #expect(world.requestCode(session: 9, purpose: 2).text == block)
        #expect(world.kinds == [.requestRefused])
        #expect(world.quota(session: 9, purpose: 2).text == block)
        world.now += 15 * Self.minute - 1
        #expect(world.requestCode(session: 9, purpose: 2).text == "blocked failureStreak 1")
        world.now += 1
        #expect(world.requestCode(session: 9, purpose: 2).text == "created")
    }

    @Test func aBlockStopsAnOpenChallengeToo() throws {
        let world = World()
        let open = try world.open(session: 50, purpose: 2)
        world.now += 30_000
        let other = try world.open(session: 51, purpose: 2)
        for number in 0..<5 { _ = world.verify(other, try world.wrongCode(of: other, number), session: 51) }
        let rows = world.state.rows
        let code = try world.code(of: open)
        #expect(world.verify(open, code, session: 50).text == "blocked failureStreak \(15 * Self.minute)")
        #expect(world.state.rows == rows, "a blocked Verify debits nothing")
        #expect(world.resend(open, session: 50).text == "blocked failureStreak \(15 * Self.minute)")
        #expect(world.kinds == [.requestRefused])
        // Over is over, blocked or not: like an unknown one.
        #expect(world.verify(other, code, session: 51).text == "challengeNotOpen")
        #expect(world.resend(other, session: 51).text == "challengeNotOpen")
    }

    @Test(arguments: [
        (BlockScope.requestCode, "blocked failureStreak 900000", "verified"),
        (.verify, "created", "blocked failureStreak 900000"),
        (.both, "blocked failureStreak 900000", "blocked failureStreak 900000"),
    ])
    func scopes(_ scope: BlockScope, _ request: String, _ verify: String) throws {
        let purpose = World.purpose(2) { purpose in
            purpose.streak = .psd2Payment
            purpose.streak.scope = scope
        }
        let world = World(tenants: [World.generous { $0.purposes = [.login, purpose] }])
        let open = try world.open(session: 50, purpose: 2)
        world.now += 30_000
        let other = try world.open(session: 51, purpose: 2)
        for number in 0..<5 { _ = world.verify(other, try world.wrongCode(of: other, number), session: 51) }
        // Beyond the gap, which would hide what the block says.
        world.now += 60_000
        let late = { (text: String) in text.replacing("900000", with: "840000") }
        #expect(world.requestCode(session: 52, purpose: 2).text == late(request))
        #expect(world.verify(open, try world.code(of: open), session: 50).text == late(verify))
    }

    @Test func aBlockIsForOneClassOneAccountOnePhone() throws {
        let world = World(tenants: [World.generous()])
        try Self.fail(world, 5, purpose: 2)
        world.now += 120_000
        #expect(world.requestCode(session: 9, purpose: 2).refusal?.status == .blocked)
        #expect(world.requestCode(session: 9, purpose: 2, as: .knownDevice).text == "created")
        #expect(world.requestCode("bob", session: 9, purpose: 2).text == "created")
        #expect(world.requestCode("alice", "+33612345679", session: 9, purpose: 2).text == "created")
    }

    @Test func aStreakOutlivesResendsChallengesAndCancel() throws {
        let world = World(tenants: [World.generous()])
        var id = try world.open(purpose: 2)
        for number in 0..<2 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        world.now += 30_000
        #expect(world.resend(id).challenge?.attemptsLeft == 3)
        _ = world.verify(id, try world.wrongCode(of: id, 2))
        #expect(world.cancel(id).text == "done")
        world.now += RuleBounds.dayMs * 40
        id = try world.open(session: 2, purpose: 2)
        #expect(world.streak().failures[1] == 3)
        _ = world.verify(id, try world.wrongCode(of: id), session: 2)
        #expect(world.kinds == [.wrongCode])
        _ = world.verify(id, try world.wrongCode(of: id, 1), session: 2)
        #expect(world.kinds == [.wrongCode, .accountBlocked])
    }

    @Test func theRightCodeClearsTheStreak() throws {
        let world = World()
        let id = try world.open(purpose: 2)
        for number in 0..<4 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        #expect(world.streak().total == 4)
        #expect(world.verify(id, try world.code(of: id)).text == "verified")
        #expect(world.streak().total == 0)
        #expect(world.state.rows(of: .streak).isEmpty)
    }

    @Test func aHundredFailuresDisableTheFactor() throws {
        let world = World(tenants: [World.generous()])
        try Self.fail(world, 99)
        let id = try world.record(world.state.rows(of: .challenge).last.map { row in
            Bytes16(
                high: row.key[0..<8].reduce(0) { $0 << 8 | UInt64($1) },
                low: row.key[8..<16].reduce(0) { $0 << 8 | UInt64($1) })
        } ?? .zero)
        #expect(id.attemptsLeft == 1)
        world.now += RuleBounds.hourMs
        let last = try world.open(session: 900)
        _ = world.verify(last, try world.wrongCode(of: last), session: 900)
        #expect(world.kinds == [.wrongCode, .factorDisabled])
        #expect(world.streak().total == 100)
        // At once, for every class, and for good: no block beside it promises an end.
        for delay: UInt64 in [0, RuleBounds.hourMs, 400 * RuleBounds.dayMs] {
            world.now += delay
            for asker in Assurance.allCases {
                #expect(world.requestCode(session: 901, as: asker).text == "factorDisabled")
                #expect(world.kinds == [.requestRefused])
            }
            #expect(world.quota(session: 901).text == "factorDisabled")
        }
        #expect(world.requestCode("bob", session: 902).text == "created")
    }

    @Test func aDisabledFactorStopsVerifyAndResend() throws {
        let world = World()
        let id = try world.open()
        var streak = StreakRecord()
        for _ in 0..<100 { _ = streak.fail(0, policy: .shopLogin, now: world.now) }
        world.set(streak)
        world.now += 30_000
        #expect(world.verify(id, try world.code(of: id)).text == "factorDisabled")
        #expect(world.resend(id).text == "factorDisabled")
        #expect(world.kinds == [.requestRefused])
    }

    @Test func countersSaturate() {
        var streak = StreakRecord()
        for _ in 0..<70_000 { _ = streak.fail(1, policy: .shopLogin, now: 5) }
        #expect(streak.total == .max)
        #expect(streak.failures[1] == .max)
    }
}
