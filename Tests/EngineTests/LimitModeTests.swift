import Testing
import Wire

@testable import Engine

/// Enforce, shadow, off; Quota as the dry run of RequestCode.
@Suite struct LimitModeTests {
    static func tenant(_ mode: LimitMode) -> TenantPolicy {
        World.generous { tenant in
            tenant.unverifiedPerHour = 1
            tenant.modes.setAll(mode)
        }
    }

    @Test(arguments: [
        (LimitMode.enforce, "startAnew phoneUnverifiedHour 3480000", [EventPush.Kind.requestRefused]),
        (.shadow, "created", [.requestRefused, .codeRequested]),
        (.off, "created", [.codeRequested]),
    ])
    func aFullBudgetOnANewChallenge(_ mode: LimitMode, _ expected: String, _ kinds: [EventPush.Kind]) throws {
        let world = World(tenants: [Self.tenant(mode)])
        _ = try world.open()
        world.now += 120_000
        #expect(world.requestCode(session: 2).text == expected)
        #expect(world.kinds == kinds)
        if mode != .off { #expect(world.events.first?.limit == Limit.phoneUnverifiedHour.rawValue) }
    }

    @Test(arguments: [
        (LimitMode.enforce, "startAnew phoneUnverifiedHour 3480000", [EventPush.Kind.requestRefused]),
        (.shadow, "resent", [.requestRefused, .codeResent]),
        (.off, "resent", [.codeResent]),
    ])
    func aFullBudgetOnAResend(_ mode: LimitMode, _ expected: String, _ kinds: [EventPush.Kind]) throws {
        let world = World(tenants: [Self.tenant(mode)])
        let id = try world.open()
        world.now += 120_000
        #expect(world.resend(id).text == expected)
        #expect(world.kinds == kinds)
    }

    /// Neither the gap nor the sends of a challenge is a budget: no mode lifts them, not even when a budget's wait is longer.
    @Test(arguments: [LimitMode.shadow, .off]) func theGapAlwaysHolds(_ mode: LimitMode) throws {
        let world = World(tenants: [Self.tenant(mode)])
        let id = try world.open()
        #expect(world.resend(id).text == "limited resendGap 30000")
        #expect(world.requestCode(session: 2).text == "limited resendGap 30000")
        #expect(world.cancel(id).text == "done")
        #expect(world.requestCode().text == "limited resendGap 30000")
        world.now += 30_000
        let next = try world.open()
        for gap: UInt64 in [60_000, 120_000] {
            world.now += gap
            #expect(world.resend(next).text == "resent")
        }
        // All three messages are out, and too little life is left: another challenge can send when the gap is over.
        world.now += 119_999
        #expect(world.resend(next).text == "startAnew resendGap 1")
    }

    @Test(arguments: LimitMode.allCases) func guessCapsAlwaysHold(_ mode: LimitMode) throws {
        let world = World(tenants: [World.tenant { tenant in
            tenant.verifiesPerPhoneMinute = 1
            tenant.modes.setAll(mode)
        }])
        let id = try world.open()
        _ = world.verify(id, try world.wrongCode(of: id))
        #expect(world.verify(id, try world.code(of: id)).text == "limited phoneVerifyMinute 60000")
    }

    /// Beyond its capacity in shadow mode a window forgets the oldest and stays right about the newest.
    @Test func aWindowBeyondItsCapacity() {
        var window = SendWindow()
        for number: UInt64 in 1...60 { window.debit(now: number * 1_000) }
        #expect(window.count == SendWindow.capacity)
        #expect(window.used(within: RuleBounds.hourMs, among: window.count, now: 60_000) == 50)
        #expect(window.room(limit: 20, window: RuleBounds.hourMs, among: 50, now: 60_000).retryAfterMs == 3_581_000)
    }

    // MARK: Quota

    @Test func quotaCountsDown() throws {
        let world = World()
        #expect(world.quota().text == "quota 5 10 3")
        _ = try world.open()
        world.now += 30_000
        #expect(world.quota(session: 2).text == "quota 4 9 2")
        #expect(world.quota(session: 2, as: .anonymous).text == "quota 5 10 3")
        let id = try world.open(session: 2)
        #expect(world.verify(id, try world.code(of: id), session: 2).text == "verified")
        #expect(world.quota(session: 2).text == "quota 5 10 2")
    }

    /// At every moment Quota says what RequestCode then says, and writes nothing.
    @Test(arguments: [11, 12, 13] as [UInt64]) func quotaIsADryRun(_ seed: UInt64) throws {
        let policy = World.tenant { ($0.openPerPhone, $0.phonesPerAccountDay, $0.accountsPerPhoneDay) = (2, 2, 2) }
        let world = World(seed: seed, tenants: [policy])
        var refusals = Set<String>()
        for step in 0..<600 {
            world.now += [0, 500, 30_000, 90_000, 400_000].randomElement(using: &world.generator) ?? 0
            let account = ["a", "b", "c"].randomElement(using: &world.generator) ?? ""
            let phone = LimitTests.phone(Int.random(in: 1...3, using: &world.generator))
            let session = UInt64.random(in: 1...2, using: &world.generator)
            let asker = Assurance.allCases.randomElement(using: &world.generator) ?? .anonymous
            let quota = world.quota(account, phone, session: session, as: asker)
            #expect(world.changes.isEmpty)
            let reply = world.requestCode(account, phone, session: session, as: asker)
            #expect(quota.refusal == reply.refusal, "seed \(seed), step \(step): \(quota.text), then \(reply.text)")
            if let limit = reply.refusal?.limit { refusals.insert(limit.name) }
            if let id = reply.challenge?.challenge, Int.random(in: 0..<4, using: &world.generator) == 0 {
                let right = Bool.random(using: &world.generator)
                let code = right ? try world.code(of: id) : try world.wrongCode(of: id)
                _ = world.verify(id, code, session: session)
            }
        }
        #expect(refusals.count >= 3, "seed \(seed) met only \(refusals)")
    }
}
