import Testing
import Wire

@testable import Engine

/// Every limit by name: exact windows, an exact wait, nothing debited by a refusal, what a verify clears.
@Suite struct LimitTests {
    /// One limit made tight, and steps that fill it; the step after them is refused.
    struct Case: Sendable, CustomTestStringConvertible {
        var limit: Limit
        var tenant: TenantPolicy
        /// Fills the limit; the world's time is where it was left.
        var fill: @Sendable (World) throws -> Void
        /// The request that is refused, the same each time.
        var refused: @Sendable (World) -> Reply
        var retryAfterMs: UInt64
        var testDescription: String { limit.name }
    }

    static func phone(_ number: Int) -> String { "+3361234\(1000 + number)" }

    /// A send that is verified: the totals alone count it.
    static func verified(_ world: World, _ account: String, _ phone: String) throws {
        let id = try world.open(account, phone)
        _ = world.verify(id, try world.code(of: id))
    }

    static let gap: UInt64 = 120_000
    static let cases: [Case] = [
        Case(
            limit: .resendGap, tenant: World.generous(), fill: { _ = try $0.open() },
            refused: { $0.requestCode(session: 2) }, retryAfterMs: 30_000),
        Case(
            limit: .phoneUnverifiedHour, tenant: World.generous { $0.unverifiedPerHour = 2 },
            fill: { world in
                for account in ["a", "b"] {
                    _ = try world.open(account)
                    world.now += gap
                }
            }, refused: { $0.requestCode("c") }, retryAfterMs: RuleBounds.hourMs - 2 * gap),
        Case(
            limit: .phoneUnverifiedDay, tenant: World.generous { $0.unverifiedPerDay = 2 },
            fill: { world in
                for account in ["a", "b"] {
                    _ = try world.open(account)
                    world.now += gap
                }
            }, refused: { $0.requestCode("c") }, retryAfterMs: RuleBounds.dayMs - 2 * gap),
        Case(
            limit: .phoneTotalHour, tenant: World.generous { $0.totalPerHour = 2 },
            fill: { world in
                for account in ["a", "b"] {
                    try verified(world, account, World.phone)
                    world.now += gap
                }
            }, refused: { $0.requestCode("c") }, retryAfterMs: RuleBounds.hourMs - 2 * gap),
        Case(
            limit: .phoneTotalDay, tenant: World.generous { $0.totalPerDay = 2 },
            fill: { world in
                for account in ["a", "b"] {
                    try verified(world, account, World.phone)
                    world.now += gap
                }
            }, refused: { $0.requestCode("c") }, retryAfterMs: RuleBounds.dayMs - 2 * gap),
        Case(
            limit: .accountUnverifiedHour, tenant: World.generous { $0.unverifiedPerHour = 2 },
            fill: { world in
                for number in 1...2 {
                    _ = try world.open("a", phone(number))
                    world.now += 1
                }
            }, refused: { $0.requestCode("a", phone(3)) }, retryAfterMs: RuleBounds.hourMs - 2),
        Case(
            limit: .accountUnverifiedDay, tenant: World.generous { $0.unverifiedPerDay = 2 },
            fill: { world in
                for number in 1...2 {
                    _ = try world.open("a", phone(number))
                    world.now += 1
                }
            }, refused: { $0.requestCode("a", phone(3)) }, retryAfterMs: RuleBounds.dayMs - 2),
        Case(
            limit: .accountTotalHour, tenant: World.generous { $0.totalPerHour = 2 },
            fill: { world in
                for number in 1...2 {
                    try verified(world, "a", phone(number))
                    world.now += 1
                }
            }, refused: { $0.requestCode("a", phone(3)) }, retryAfterMs: RuleBounds.hourMs - 2),
        Case(
            limit: .accountTotalDay, tenant: World.generous { $0.totalPerDay = 2 },
            fill: { world in
                for number in 1...2 {
                    try verified(world, "a", phone(number))
                    world.now += 1
                }
            }, refused: { $0.requestCode("a", phone(3)) }, retryAfterMs: RuleBounds.dayMs - 2),
        Case(
            limit: .accountPhonesDay, tenant: World.generous { $0.phonesPerAccountDay = 3 },
            fill: { world in
                for number in 1...3 {
                    _ = try world.open("a", phone(number))
                    world.now += 1
                }
            }, refused: { $0.requestCode("a", phone(4)) }, retryAfterMs: RuleBounds.dayMs - 3),
        Case(
            limit: .phoneAccountsDay, tenant: World.generous(),
            fill: { world in
                for number in 1...5 {
                    _ = try world.open("account \(number)")
                    world.now += gap
                }
            }, refused: { $0.requestCode("account 6") }, retryAfterMs: RuleBounds.dayMs - 5 * gap),
        Case(
            limit: .phoneOpenChallenges, tenant: World.generous { $0.openPerPhone = 2 },
            fill: { world in
                for session: UInt64 in 1...2 {
                    _ = try world.open(session: session)
                    world.now += gap
                }
            }, refused: { $0.requestCode(session: 3) }, retryAfterMs: 300_000 - 2 * gap),
    ]

    @Test(arguments: cases) func isExact(_ test: Case) throws {
        let world = World(tenants: [test.tenant])
        try test.fill(world)
        // Beyond the request id's life only a new request can pass.
        let status = test.retryAfterMs > RuleBounds.maxRequestAgeMs ? "startAnew" : "limited"
        let expected = "\(status) \(test.limit.name) \(test.retryAfterMs)"
        let before = world.state.withoutEvents
        #expect(test.refused(world).text == expected)
        #expect(world.state.withoutEvents == before, "a refusal debits nothing")
        world.now += test.retryAfterMs - 1
        #expect(test.refused(world).text == "limited \(test.limit.name) 1")
        #expect(world.state.withoutEvents == before, "a refusal debits nothing")
        world.now += 1
        #expect(test.refused(world).text == "created")
    }

    /// The same request when the world's other askers have filled the limit.
    @Test(arguments: cases) func isApartPerClass(_ test: Case) throws {
        let world = World(tenants: [test.tenant])
        try test.fill(world)
        for asker in [Assurance.anonymous, .knownDevice] {
            var m = Quota()
            m.purpose = 1
            m.assurance = asker.rawValue
            m.account = AccountBytes(test.limit.name.hasPrefix("account") ? "a" : "c")
            m.phone = PhoneBytes(test.limit.name.hasPrefix("account") ? Self.phone(4) : World.phone)
            m.session = World.session(9)
            #expect(world.send(.quota(m)).refusal == nil)
        }
        #expect(world.requestCode("a", as: .anonymous).text == "created")
    }

    /// Another tenant's shoppers have budgets of their own.
    @Test(arguments: cases) func isApartPerTenant(_ test: Case) throws {
        var other = test.tenant
        other.number = 2
        let world = World(tenants: [test.tenant, other])
        try test.fill(world)
        #expect(test.refused(world).refusal?.limit == test.limit)
        world.caller.tenant = 2
        #expect(test.refused(world).text == "created")
    }

    @Test func aVerifyClearsTheUnverifiedAndNotTheTotals() throws {
        let world = World(tenants: [World.tenant { ($0.unverifiedPerHour, $0.totalPerHour) = (2, 3) }])
        for session: UInt64 in 1...2 {
            _ = try world.open(session: session)
            world.now += 120_000
        }
        #expect(world.requestCode(session: 3).refusal?.limit == .phoneUnverifiedHour)
        let id = try #require(
            world.engine.openChallenge(
                in: world.engine.readSlot(
                    world.engine.slotIndex(1, AccountBytes("alice"), 1, .zero, World.session(2)), &world.state),
                Assurance.firstFactor.rawValue, world.caller,
                world.context, &world.state)
        ).id
        #expect(world.verify(id, try world.code(of: id), session: 2).text == "verified")
        #expect(world.requestCode(session: 3).text == "created")
        world.now += 120_000
        let wait = RuleBounds.hourMs - 3 * 120_000
        #expect(world.requestCode(session: 4).text == "startAnew phoneTotalHour \(wait)")
    }

    /// A verify in one class leaves the others' counts alone.
    @Test func aVerifyClearsItsOwnClassOnly() throws {
        let world = World()
        _ = try world.open(session: 1, as: .anonymous)
        let id = try world.open(session: 2, as: .knownDevice)
        #expect(world.verify(id, try world.code(of: id), session: 2).text == "verified")
        #expect(world.phoneRecord().classes[0].sends.unverified == 1)
        #expect(world.phoneRecord().classes[2].sends.unverified == 0)
        #expect(world.accountRecord().classes[0].sends.unverified == 1)
        #expect(world.accountRecord().classes[2].sends.unverified == 0)
    }

    @Test func theLongestWaitIsNamed() throws {
        let world = World(tenants: [World.generous { $0.unverifiedPerHour = 3 }])
        let id = try world.open()
        for gap: UInt64 in [30_000, 60_000] {
            world.now += gap
            _ = world.resend(id)
        }
        // The gap (120 s), the challenge's sends (210 s) and the hour all hold.
        let wait = RuleBounds.hourMs - 90_000
        #expect(world.resend(id).text == "startAnew phoneUnverifiedHour \(wait)")
        world.now += 120_000
        #expect(world.requestCode().text == "startAnew phoneUnverifiedHour \(wait - 120_000)")
    }

    @Test func verifiesPerPhoneAndMinute() throws {
        let world = World(tenants: [World.tenant { $0.verifiesPerPhoneMinute = 3 }])
        let id = try world.open()
        for number in 0..<3 {
            #expect(
                world.verify(id, try world.wrongCode(of: id, number)).text == "wrongCode left \(4 - number)")
            world.now += 10
        }
        let rows = world.state.withoutEvents
        let code = try world.code(of: id)
        #expect(world.verify(id, code).text == "limited phoneVerifyMinute 59970")
        #expect(world.state.withoutEvents == rows)
        world.now += 59_969
        #expect(world.verify(id, code).text == "limited phoneVerifyMinute 1")
        world.now += 1
        #expect(world.verify(id, code).text == "verified")
    }

    /// To the last millisecond of its window a send counts, for a limit and for what Quota tells; then it doesn't.
    @Test(arguments: [(RuleBounds.hourMs, 2, 9), (RuleBounds.dayMs, 9, 2)] as [(UInt64, Int, Int)])
    func aSendCountsToTheEndOfItsWindow(_ window: UInt64, _ perHour: Int, _ perDay: Int) throws {
        let world = World(
            tenants: [
                World.generous { tenant in
                    (tenant.totalPerHour, tenant.totalPerDay) = (perHour, perDay)
                    (tenant.unverifiedPerHour, tenant.unverifiedPerDay) = (perHour, perDay)
                }
            ])
        let limit: Limit = window == RuleBounds.hourMs ? .phoneTotalHour : .phoneTotalDay
        // The debit of the second must not drop the first, which still counts for a millisecond.
        try Self.verified(world, "a", World.phone)
        world.now += window - 1
        try Self.verified(world, "b", World.phone)
        #expect(world.requestCode("c").text == "limited \(limit.name) 1")
        world.now += 1
        #expect(world.requestCode("c").text == "created")
        #expect(world.requestCode("d", as: .knownDevice).text == "created")
        let left = { (reply: Reply) in
            reply.text.split(separator: " ").dropFirst().prefix(2).joined(separator: " ")
        }
        #expect(left(world.quota("d", as: .knownDevice)) == "\(perHour - 1) \(perDay - 1)")
        world.now += window - 1
        #expect(world.quota("d", session: 2, as: .knownDevice).refusal == nil)
        let last = left(world.quota("d", session: 2, as: .knownDevice))
        world.now += 1
        let after = left(world.quota("d", session: 2, as: .knownDevice))
        #expect(last != after)
        #expect(after == (window == RuleBounds.hourMs ? "\(perHour) \(perDay - 1)" : "\(perHour) \(perDay)"))
    }

    /// Right guesses count too: who owns one number can't use it to try many accounts' codes.
    @Test func rightGuessesCountForTheVerifyRate() throws {
        let world = World(tenants: [World.generous { $0.verifiesPerPhoneMinute = 3 }])
        for account in ["a", "b", "c"] {
            let id = try world.open(account)
            #expect(world.verify(id, try world.code(of: id)).text == "verified")
        }
        let id = try world.open("d")
        #expect(world.verify(id, try world.code(of: id)).text == "limited phoneVerifyMinute 60000")
    }

    /// A limit that was lowered, or enforced after a time in shadow, has more in its list than it allows: the wait is still exact.
    @Test func waitsAreExactAfterALimitWasLowered() {
        var open = OpenSet()
        var recent = RecentSet()
        for number: UInt64 in 1...5 {
            open.insert(Bytes16(high: number, low: 0), until: 1_000 * number, now: 0)
            recent.insert(number, now: 1_000 * number)
        }
        #expect(open.room(limit: 3, replacing: nil, now: 500).retryAfterMs == 2_500)
        #expect(open.room(limit: 3, replacing: nil, now: 3_000).retryAfterMs == 0)
        let full = RuleBounds.dayMs + 3_000
        #expect(recent.room(adding: 9, limit: 3, now: 5_000).retryAfterMs == full - 5_000)
        #expect(recent.room(adding: 9, limit: 3, now: full - 1).retryAfterMs == 1)
        #expect(recent.room(adding: 9, limit: 3, now: full).retryAfterMs == 0)
        #expect(recent.room(adding: 4, limit: 3, now: 5_000).retryAfterMs == 0)
    }
}
