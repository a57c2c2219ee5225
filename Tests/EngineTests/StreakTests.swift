import Testing
import Wire

@testable import Engine

/// Failures in a row on one (account, phone): over challenges, resends and sessions, up to blocks and the end
/// of the factor.
@Suite struct StreakTests {
    static let minute: UInt64 = 60_000

    /// Guesses wrong `count` times on fresh challenges, waiting out what has to be waited out; returns the
    /// answers' texts.
    static func fail(_ world: World, _ count: Int, purpose: UInt16 = 1) throws {
        var id: Bytes16?
        for number in 0..<count {
            if number % 5 == 0 {
                world.now += RuleBounds.hourMs
                id = try world.open(session: UInt64(number + 1), purpose: purpose)
            }
            let challenge = try #require(id)
            let reply = world.verify(
                challenge, try world.wrongCode(of: challenge, number % 5),
                session: UInt64(number - number % 5 + 1),
                id: world.newID())
            #expect(reply.text == "wrongCode left \(4 - number % 5)", "failure \(number + 1)")
        }
    }

    /// Log-ins of a class whose share is large enough to see all of its blocks.
    @Test func blocksOfLoginsGrow() {
        var streak = StreakRecord()
        var got: [Int: UInt64] = [:]
        for failure in 1...49 {
            let block = streak.fail(0, policy: .shopLogin, now: 1_000).blockMs
            if block > 0 {
                got[failure] = block / Self.minute
                #expect(streak.classes[0].blockedUntil == 1_000 + block)
            }
        }
        #expect(got == [20: 15, 25: 30, 30: 60, 35: 60, 40: 60, 45: 60])
        #expect(streak.fail(0, policy: .shopLogin, now: 1_000) == (0, true))
        #expect(streak.isOff(0) && streak.classes[0].blockedUntil == 0 && !streak.isOff(1))
    }

    /// A threshold is crossed, whichever purpose's failure crosses it.
    @Test func aLowerThresholdOfAnotherPurposeIsCrossed() {
        var streak = StreakRecord()
        for _ in 0..<15 { #expect(streak.fail(1, policy: .shopLogin, now: 5).blockMs == 0) }
        #expect(streak.fail(1, policy: StreakPolicy(blockAfter: 10), now: 5).blockMs == 15 * Self.minute)
        #expect(
            streak.fail(1, policy: .psd2Payment, now: 5).blockMs == 0, "payments' blocks are the account's")
        #expect(streak.classes[1].failures == 17 && streak.classes[1].sinceBlock == 0)
    }

    @Test func blocksOfPaymentsGrow() {
        var payments = PaymentStreak()
        let got = (1...20).map { failure in
            payments.fail(policy: .psd2Payment, now: UInt64(failure)) / Self.minute
        }
        #expect(got == [0, 0, 0, 0, 15, 0, 0, 0, 0, 30, 0, 0, 0, 0, 60, 0, 0, 0, 0, 60])
    }

    /// Four a day never block; the fifth within a day does, to the millisecond; a day without one starts the
    /// lengths anew.
    @Test func paymentsFailuresCountForADay() {
        var payments = PaymentStreak()
        let day = RuleBounds.dayMs
        for number: UInt64 in 0..<4 { #expect(payments.fail(policy: .psd2Payment, now: number) == 0) }
        #expect(payments.fail(policy: .psd2Payment, now: day) == 0, "the first is a day old")
        #expect(payments.fail(policy: .psd2Payment, now: day) == 15 * Self.minute)
        for number: UInt64 in 0..<4 { _ = payments.fail(policy: .psd2Payment, now: 2 * day - 1 + number) }
        #expect(payments.fail(policy: .psd2Payment, now: 2 * day + 3) == 30 * Self.minute)
        for number: UInt64 in 0..<4 { _ = payments.fail(policy: .psd2Payment, now: 3 * day + 3 + number) }
        #expect(payments.fail(policy: .psd2Payment, now: 3 * day + 8) == 15 * Self.minute)
    }

    @Test func fiveFailuresOnAPaymentBlockRequestAndVerify() throws {
        let world = World()
        try Self.fail(world, 5, purpose: 2)
        #expect(world.kinds == [.wrongCode, .attemptsExhausted, .accountBlocked])
        let block = "blocked paymentStreak \(15 * Self.minute)"
        #expect(world.requestCode(session: 9, purpose: 2).text == block)
        #expect(world.kinds == [.requestRefused])
        #expect(world.quota(session: 9, purpose: 2).text == block)
        world.now += 15 * Self.minute - 1
        #expect(world.requestCode(session: 9, purpose: 2).text == "blocked paymentStreak 1")
        world.now += 1
        #expect(world.requestCode(session: 9, purpose: 2).text == "created")
    }

    @Test func aBlockStopsAnOpenChallengeToo() throws {
        let world = World()
        let open = try world.open(session: 50, purpose: 2)
        world.now += 30_000
        let other = try world.open(session: 51, purpose: 2)
        for number in 0..<5 { _ = world.verify(other, try world.wrongCode(of: other, number), session: 51) }
        let rows = world.state.withoutEvents
        let code = try world.code(of: open)
        #expect(world.verify(open, code, session: 50).text == "blocked paymentStreak \(15 * Self.minute)")
        #expect(world.state.withoutEvents == rows, "a blocked Verify debits nothing")
        #expect(world.resend(open, session: 50).text == "blocked paymentStreak \(15 * Self.minute)")
        #expect(world.kinds == [.requestRefused])
        // Over is over, blocked or not: like an unknown one.
        #expect(world.verify(other, code, session: 51).text == "challengeNotOpen")
        #expect(world.resend(other, session: 51).text == "challengeNotOpen")
    }

    @Test(arguments: [
        (BlockScope.requestCode, "blocked paymentStreak 900000", "verified"),
        (.verify, "created", "blocked paymentStreak 900000"),
        (.both, "blocked paymentStreak 900000", "blocked paymentStreak 900000"),
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

    /// Payments: the account's, over classes and phones; nobody else's, and no log-in.
    @Test func aPaymentsBlockIsTheAccounts() throws {
        let world = World(tenants: [World.generous()])
        try Self.fail(world, 5, purpose: 2)
        world.now += 120_000
        let block = "blocked paymentStreak \(13 * Self.minute)"
        #expect(world.requestCode(session: 9, purpose: 2).text == block)
        #expect(world.requestCode(session: 9, purpose: 2, as: .knownDevice).text == block)
        #expect(world.requestCode("alice", "+33612345679", session: 9, purpose: 2).text == block)
        #expect(world.requestCode("bob", session: 9, purpose: 2).text == "created")
        #expect(world.requestCode(session: 9, as: .knownDevice).text == "created")
        world.now += 120_000
        #expect(world.requestCode(session: 9).text == "created", "no log-in is stopped")
    }

    /// Log-ins: one class on one account and phone.
    @Test func aLoginsBlockIsForOneClassOneAccountOnePhone() throws {
        let world = World(tenants: [World.generous()])
        try Self.fail(world, 20)
        #expect(world.kinds == [.wrongCode, .attemptsExhausted, .accountBlocked])
        #expect(world.events.last?.limit == Limit.failureStreak.rawValue)
        world.now += 120_000
        #expect(world.requestCode(session: 9).text == "blocked failureStreak \(13 * Self.minute)")
        #expect(world.requestCode(session: 9, as: .knownDevice).text == "created")
        #expect(world.requestCode(session: 9, as: .anonymous).text == "created")
        #expect(world.requestCode("bob", session: 9).text == "created")
        #expect(world.requestCode("alice", "+33612345679", session: 9).text == "created")
    }

    /// Sixteen wrong payment codes, a wrong log-in code after each fourth: what a rule by remainders let
    /// pass.
    @Test func loginsDontHidePaymentsFailures() throws {
        let world = World(tenants: [World.generous()])
        var wrong = 0
        var blockedAfter: [Int] = []
        for round: UInt64 in 0..<4 {
            world.now += RuleBounds.hourMs
            let payment = world.requestCode(session: 10 + round, purpose: 2)
            guard let id = payment.challenge?.challenge else {
                #expect(payment.refusal?.limit == .paymentStreak)
                continue
            }
            for number in 0..<4 {
                let reply = world.verify(id, try world.wrongCode(of: id, number), session: 10 + round)
                if reply.refusal?.status == .wrongCode { wrong += 1 }
                if world.kinds.contains(.accountBlocked) { blockedAfter.append(wrong) }
            }
            world.now += 120_000
            let login = try world.open(session: 20 + round)
            #expect(
                world.verify(login, try world.wrongCode(of: login), session: 20 + round).text
                    == "wrongCode left 4")
        }
        #expect(blockedAfter == [5, 10], "\(wrong) wrong payment codes")
    }

    /// Over the classes that may pay, and over three phones.
    @Test(arguments: [true, false]) func paymentsFailuresAddUp(_ overClasses: Bool) throws {
        let world = World(tenants: [World.generous()])
        var told = 0
        for number in 0..<5 {
            world.now += 120_000
            let asker: Assurance = overClasses && number % 2 == 1 ? .knownDevice : .firstFactor
            let phone = overClasses ? World.phone : LimitTests.phone(number % 3)
            let id = try world.open("alice", phone, session: UInt64(number + 1), purpose: 2, as: asker)
            _ = world.verify(id, try world.wrongCode(of: id), session: UInt64(number + 1))
            told += world.kinds.count { $0 == .accountBlocked }
        }
        #expect(told == 1)
        #expect(world.events.last?.limit == Limit.paymentStreak.rawValue)
        #expect(
            world.requestCode("alice", LimitTests.phone(7), session: 9, purpose: 2).refusal?.limit
                == .paymentStreak)
    }

    @Test func paymentsDemandAFirstFactor() {
        let world = World()
        #expect(world.requestCode(purpose: 2, as: .anonymous).text == "assuranceTooLow")
        #expect(world.kinds == [.requestRefused] && world.writes.isEmpty)
        #expect(
            world.events.first?.assurance == Assurance.anonymous.rawValue && world.events.first?.uid == 1000)
        #expect(world.quota(purpose: 2, as: .anonymous).text == "assuranceTooLow")
    }

    /// A purpose becomes a payment's: what a stranger opened on it before is over.
    @Test func anOlderChallengeOfAStranger() throws {
        let world = World()
        let strangers = try world.open(as: .anonymous)
        let owners = try world.open(session: 2, as: .firstFactor)
        world.now += 60_000
        world.restart(tenants: [World.tenant { $0.purposes[0].streak.profile = .psd2Payment }])
        #expect(world.verify(strangers, try world.wrongCode(of: strangers)).text == "challengeNotOpen")
        #expect(world.accountRecord().payments == PaymentStreak())
        #expect(world.resend(strangers).text == "challengeNotOpen")
        #expect(world.verify(owners, try world.code(of: owners), session: 2).text == "verified")
    }

    /// A right code clears its own class and the lower ones, and payments only if it pays.
    @Test func whatARightCodeClears() throws {
        let world = World(tenants: [World.generous()])
        for (asker, session): (Assurance, UInt64) in [(.anonymous, 1), (.firstFactor, 2), (.knownDevice, 3)] {
            let id = try world.open(session: session, as: asker)
            _ = world.verify(id, try world.wrongCode(of: id), session: session)
            if asker == .firstFactor {
                #expect(world.verify(id, try world.code(of: id), session: session).text == "verified")
            }
        }
        let left = (0..<3).map { world.streak().classes[$0].failures }
        #expect(left == [0, 0, 1])
        let payment = try world.open("carol", "+33612345679", purpose: 2)
        for number in 0..<4 { _ = world.verify(payment, try world.wrongCode(of: payment, number)) }
        world.now += 120_000
        let login = try world.open("carol", "+33612345679", session: 2)
        #expect(world.verify(login, try world.code(of: login), session: 2).text == "verified")
        world.now += 120_000
        let second = try world.open("carol", "+33612345679", session: 3, purpose: 2)
        _ = world.verify(second, try world.wrongCode(of: second), session: 3)
        #expect(world.kinds == [.wrongCode, .accountBlocked], "the log-in didn't clear the four before")
    }

    @Test func aStreakOutlivesResendsChallengesAndCancel() throws {
        let world = World(tenants: [World.generous()])
        var id = try world.open(purpose: 2)
        for number in 0..<2 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        world.now += 30_000
        #expect(world.resend(id).challenge?.attemptsLeft == 3)
        _ = world.verify(id, try world.wrongCode(of: id, 2))
        #expect(world.cancel(id).text == "done")
        world.now += RuleBounds.dayMs - 60_000
        id = try world.open(session: 2, purpose: 2)
        #expect(world.streak().classes[1].failures == 3)
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

    /// The class's share of NIST's hundred: off for itself, at once and for good, while the others go on.
    @Test(arguments: [(Assurance.anonymous, 50), (.firstFactor, 25), (.knownDevice, 25)])
    func aUsedUpClassIsOffForItself(_ asker: Assurance, _ share: Int) throws {
        let world = World(tenants: [World.generous { $0.purposes[0].streak.blockAfter = 200 }])
        for number in 0..<share {
            if number % 5 == 0 { world.now += RuleBounds.hourMs }
            let session = UInt64(number / 5 + 1)
            let id = try #require(world.requestCode(session: session, as: asker).challenge).challenge
            _ = world.verify(id, try world.wrongCode(of: id, number % 5), session: session)
            #expect(world.kinds.contains(.factorDisabled) == (number == share - 1), "failure \(number + 1)")
        }
        #expect(world.events.last?.assurance == asker.rawValue)
        for delay: UInt64 in [0, RuleBounds.hourMs, 500 * RuleBounds.dayMs] {
            world.now += delay
            #expect(world.requestCode(session: 901, as: asker).text == "factorDisabled")
            #expect(world.kinds == [.requestRefused])
            #expect(world.quota(session: 901, as: asker).text == "factorDisabled")
        }
        for other in Assurance.allCases where other != asker {
            #expect(world.requestCode(session: 902, as: other).text == "created")
        }
        // A right code of a higher class turns it on again.
        guard let higher = Assurance(rawValue: asker.rawValue + 1) else { return }
        world.now += 120_000
        let id = try #require(world.requestCode(session: 902, as: higher).challenge).challenge
        #expect(world.verify(id, try world.code(of: id), session: 902).text == "verified")
        #expect(world.requestCode(session: 903, as: asker).text == "created")
    }

    @Test func aClassThatIsOffStopsVerifyAndResend() throws {
        let world = World()
        let id = try world.open()
        var streak = StreakRecord()
        for _ in 0..<25 { _ = streak.fail(1, policy: .shopLogin, now: world.now) }
        world.set(streak)
        world.now += 30_000
        #expect(world.verify(id, try world.code(of: id)).text == "factorDisabled")
        #expect(world.kinds == [.requestRefused])
        #expect(world.resend(id).text == "factorDisabled")
        #expect(world.kinds == [.requestRefused])
    }

    @Test func countersSaturate() {
        var streak = StreakRecord()
        for _ in 0..<70_000 { _ = streak.fail(1, policy: .shopLogin, now: 5) }
        #expect(streak.classes[1].failures == .max)
        var payments = PaymentStreak()
        for _ in 0..<3_000 { _ = payments.fail(policy: .psd2Payment, now: 5) }
        #expect(payments.blockedUntil == 5 + 60 * Self.minute)
    }
}
