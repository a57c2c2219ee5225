import Testing
import Wire

@testable import Engine

/// Refusal floods: bounded events, bounded memory, and nothing that a shopper needs is in their way.
@Suite struct RequestRatesTests {
    private let minute: UInt64 = 60_000

    private func keys(
        account: UInt64 = 0, phone: UInt64 = 0, challenge: UInt64 = 0, address: UInt64 = 0, uid: UInt64 = 1
    )
        -> RequestRates.Keys
    {
        RequestRates.Keys(
            tenant: 1, table: .firstFactor, caller: uid, counted: [account, phone, challenge, address])
    }

    private let refusal = Refusal(.limited, limit: .phoneUnverifiedHour, retryAfterMs: 1)

    /// A flood on one phone: ten are told, the rest of the minute is counted; beyond sixty nothing is
    /// decided.
    @Test func oneKey() {
        var rates = RequestRates()
        var (told, counted, undecided) = (0, 0, 0)
        let now = World.start / minute * minute
        for step in 0..<200 {
            switch rates.admit(keys(account: UInt64(1_000 + step), phone: 7), now: now) {
            case .passes:
                told += 1
                rates.refused(keys(phone: 7), refusal, isCounted: false, now: now)
            case .counted:
                counted += 1
                rates.refused(keys(phone: 7), refusal, isCounted: true, now: now)
            case .refused(let refusal):
                undecided += 1
                #expect(refusal.limit == .requestRate && refusal.status == .limited)
                #expect(refusal.retryAfterMs == 60_000)
            }
        }
        #expect((told, counted, undecided) == (10, 50, 140))
        #expect(rates.admit(keys(phone: 7), now: now + minute) == .passes, "the next minute begins anew")
        #expect(!rates.countsAreDue(now: now + minute - 1) && rates.countsAreDue(now: now + minute))
        let counts = rates.takeCounts()
        #expect(
            counts.map(\.count) == [50, 140]
                && counts.map(\.limit) == [Limit.phoneUnverifiedHour.rawValue, Limit.requestRate.rawValue])
        #expect(rates.takeCounts().isEmpty)
    }

    @Test func anAddressIsCountedNotRefused() {
        var rates = RequestRates()
        for step in 0..<500 {
            let request = keys(account: UInt64(step + 1), address: 9)
            guard case .passes = rates.admit(request, now: World.start) else {
                Issue.record("an office behind one address was refused at request \(step)")
                return
            }
        }
        for _ in 0..<10 { rates.refused(keys(address: 9), refusal, isCounted: false, now: World.start) }
        #expect(rates.admit(keys(account: 1_000, address: 9), now: World.start) == .counted)
    }

    /// A flood over a million accounts and phones pushes out their counts; the caller's own still bounds the
    /// events.
    @Test func manyKeysOfOneCaller() {
        var rates = RequestRates()
        var generator = SeededGenerator(seed: 11)
        let now = World.start / minute * minute
        var told = 0
        for _ in 0..<100_000 {
            let request = keys(account: generator.next() | 1, phone: generator.next() | 1)
            let verdict = rates.admit(request, now: now)
            if verdict == .passes { told += 1 }
            rates.refused(request, refusal, isCounted: verdict == .counted, now: now)
        }
        #expect(told == Int(RequestRates.toldPerCallerMinute))
        #expect(
            rates.admit(keys(account: 1, uid: 2), now: now) == .passes, "another caller's refusals are told")
    }

    @Test func moreKindsThanPlacesShareTheLast() {
        var rates = RequestRates()
        for limit in 0..<UInt8(100) {
            var refusal = Refusal(.limited)
            refusal.limitCode = limit
            rates.refused(keys(phone: 1), refusal, isCounted: true, now: World.start)
        }
        let counts = rates.takeCounts()
        #expect(counts.count == RequestRates.maxCounts)
        #expect(counts.reduce(0) { $0 + $1.count } == 100)
        #expect(counts.last == RequestRates.Count(tenant: 0, status: 0, limit: 0, count: 69))
    }

    /// What a counted refusal answers is what a told one answers; it writes nothing.
    @Test func aCountedRefusalWritesNothing() {
        let world = World()
        _ = world.requestCode()
        let told = world.requestCode(session: 2).text
        #expect(told.contains("limited") && world.kinds == [.requestRefused])
        world.caller.isCounted = true
        #expect(world.requestCode(session: 2).text == told)
        #expect(world.kinds.isEmpty && world.changes.isEmpty)
    }

    // MARK: what is counted on whom

    private func ask(
        _ account: String = "alice", _ phone: String = World.phone, as assurance: Assurance = .firstFactor,
        address: [UInt8] = []
    ) -> Request {
        var m = RequestCode()
        (m.purpose, m.assurance, m.session) = (1, assurance.rawValue, World.session(1))
        (m.account, m.phone, m.clientIP) = (AccountBytes(account), PhoneBytes(phone), InlineBytes(address))
        return .requestCode(m)
    }

    /// Strangers' requests fill strangers' counts only.
    @Test func aFloodOfOneClassIsNoneOfTheOthers() throws {
        let world = World()
        var rates = RequestRates()
        let stranger = try #require(world.engine.rateKeys(ask(as: .anonymous), world.caller))
        var refused = 0
        for _ in 0..<200 { if case .refused = rates.admit(stranger, now: world.now) { refused += 1 } }
        #expect(refused == 140)
        for owner in [Assurance.firstFactor, .knownDevice] {
            let keys = try #require(world.engine.rateKeys(ask(as: owner), world.caller))
            #expect(rates.admit(keys, now: world.now) == .passes)
        }
    }

    /// The wait of a rate is told as the rules tell theirs.
    @Test func aRatesWaitComesTrue() {
        let world = World()
        let refusal = Refusal(.limited, limit: .requestRate, retryAfterMs: 60_000)
        for (age, expected): (UInt64, Status) in [(0, .limited), (600_000, .limited), (600_001, .startAnew)] {
            var m = RequestCode()
            m.requestID = world.newID(world.now - age)
            #expect(world.engine.lasting(refusal, of: .requestCode(m), now: world.now).status == expected, "\(age)")
        }
    }

    /// What isn't valid is nobody's.
    @Test func whatIsNotValidIsNotCounted() {
        let world = World()
        let bad = [
            ask(""), ask("alice", "0612345678"), ask(address: [1, 2, 3]), ask(address: [1, 2, 3, 4, 5]),
        ]
        for request in bad { #expect(world.engine.rateKeys(request, world.caller) == nil) }
        var m = RequestCode()
        (m.purpose, m.assurance, m.account, m.phone) = (77, 1, AccountBytes("a"), PhoneBytes(World.phone))
        #expect(world.engine.rateKeys(.requestCode(m), world.caller) == nil)
        (m.purpose, m.assurance, m.session) = (2, 0, World.session(1))
        #expect(world.engine.rateKeys(.requestCode(m), world.caller)?.table == .others, "only its refusals' events are")
    }

    /// Payments asked for without a first factor: ten events an account and minute, and no class's rate.
    @Test func strangersPaymentsAreTenEvents() throws {
        let world = World()
        var rates = RequestRates()
        var m = RequestCode()
        (m.purpose, m.assurance, m.session) = (2, 0, World.session(1))
        (m.account, m.phone) = (AccountBytes("alice"), PhoneBytes(World.phone))
        let keys = try #require(world.engine.rateKeys(.requestCode(m), world.caller))
        var told = 0
        for _ in 0..<500 {
            let verdict = rates.admit(keys, now: world.now)
            if verdict == .passes { told += 1 }
            rates.refused(keys, Refusal(.assuranceTooLow), isCounted: verdict == .counted, now: world.now)
        }
        #expect(told == 10 && rates.takeCounts().map(\.count) == [490])
    }

    /// Each key is its tenant's; an IPv4 address is one, however it is written; an IPv6 client is its /64.
    @Test func keysOfAddresses() throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        func key(_ address: [UInt8], tenant: UInt32 = 1) throws -> UInt64 {
            let caller = Caller(tenant: tenant, uid: 1000)
            return try #require(world.engine.rateKeys(ask(address: address), caller)).counted[
                RequestRates.Keys.address]
        }
        let v4: [UInt8] = [192, 0, 2, 7]
        let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + v4
        #expect(try key(v4) == key(mapped))
        #expect(try key(v4) != key([192, 0, 2, 8]))
        #expect(try key(v4) != key(v4, tenant: 2))
        let v6: [UInt8] = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
        #expect(try key(v6) == key(Array(v6.prefix(15)) + [9]))
        #expect(try key(v6) != key(Array(v6.prefix(7)) + [2] + Array(v6.suffix(8))))
        #expect(try key([]) == 0)
        var resend = Resend()
        resend.challenge = Bytes16(high: 1, low: 2)
        let (one, two) = (
            world.engine.rateKeys(.resend(resend), world.caller),
            world.engine.rateKeys(.resend(resend), Caller(tenant: 2, uid: 1000))
        )
        #expect(one?.counted[RequestRates.Keys.challenge] != two?.counted[RequestRates.Keys.challenge])
    }

    /// Other writes are never refused here; of their refusals ten a challenge and minute are told.
    @Test func otherWritesAreOnlyCounted() throws {
        let world = World()
        var rates = RequestRates()
        var guess = Verify()
        guess.challenge = Bytes16(high: 3, low: 4)
        let keys = try #require(world.engine.rateKeys(.verify(guess), world.caller))
        var told = 0
        for _ in 0..<200 {
            let verdict = rates.admit(keys, now: world.now)
            if verdict == .passes { told += 1 }
            rates.refused(keys, Refusal(.challengeNotOpen), isCounted: verdict == .counted, now: world.now)
        }
        #expect(told == 10)
        #expect(rates.takeCounts().map(\.count) == [190])
        for request: Request in [
            .status(StatusRequest()), .quota(Quota()), .checkGrant(CheckGrant()), .report(ReportMessage()),
            .receipt(ReportReceipt()),
        ] {
            #expect(world.engine.rateKeys(request, world.caller) == nil)
        }
    }
}
