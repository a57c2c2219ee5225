import Testing
import Wire

@testable import Engine

/// The send budgets against a naive model: plain lists of what was sent when.
@Suite struct WindowModelTests {
    struct Sent {
        var time: UInt64
        var account: String
        var phone: String
        var asker: Assurance
        /// No verify on the phone, and none on the account, since.
        var isUnverifiedOnPhone = true
        var isUnverifiedOnAccount = true
    }

    /// What the documents say, by counting.
    struct Model {
        var tenant: TenantPolicy
        var sent: [Sent] = []

        func check(_ account: String, _ phone: String, _ asker: Assurance, _ now: UInt64) -> [Limit: UInt64] {
            var waits: [Limit: UInt64] = [:]
            let mine = sent.filter { $0.asker == asker }
            let (onPhone, onAccount) = (mine.filter { $0.phone == phone }, mine.filter { $0.account == account })
            func window(_ limit: Limit, _ list: [Sent], _ cap: Int, _ length: UInt64) {
                let inside = list.map(\.time).filter { $0 + length > now }.sorted()
                if inside.count >= cap { waits[limit] = inside[inside.count - cap] + length - now }
            }
            // The gap is set by the send before it: sends that were a day old by then no longer lengthen it.
            if let last = onPhone.last(where: \.isUnverifiedOnPhone) {
                let unverified = onPhone.filter { $0.isUnverifiedOnPhone && $0.time + RuleBounds.dayMs > last.time }
                let gap = [30_000, 60_000, 120_000][min(unverified.count, 3) - 1] as UInt64
                if last.time + gap > now { waits[.resendGap] = last.time + gap - now }
            }
            let (hour, day) = (RuleBounds.hourMs, RuleBounds.dayMs)
            let fresh = onAccount.filter(\.isUnverifiedOnAccount)
            window(.phoneUnverifiedHour, onPhone.filter(\.isUnverifiedOnPhone), tenant.unverifiedPerHour, hour)
            window(.phoneUnverifiedDay, onPhone.filter(\.isUnverifiedOnPhone), tenant.unverifiedPerDay, day)
            window(.phoneTotalHour, onPhone, tenant.totalPerHour, hour)
            window(.phoneTotalDay, onPhone, tenant.totalPerDay, day)
            window(.accountUnverifiedHour, fresh, tenant.unverifiedPerHour, hour)
            window(.accountUnverifiedDay, fresh, tenant.unverifiedPerDay, day)
            window(.accountTotalHour, onAccount, tenant.totalPerHour, hour)
            window(.accountTotalDay, onAccount, tenant.totalPerDay, day)
            func different(_ limit: Limit, _ list: [Sent], _ name: (Sent) -> String, _ new: String, _ cap: Int) {
                var newest: [String: UInt64] = [:]
                for item in list where item.time + day > now { newest[name(item)] = item.time }
                guard newest[new] == nil, newest.count >= cap else { return }
                waits[limit] = newest.values.sorted()[newest.count - cap] + day - now
            }
            different(.accountPhonesDay, onAccount, { $0.phone }, phone, tenant.phonesPerAccountDay)
            different(.phoneAccountsDay, onPhone, { $0.account }, account, tenant.accountsPerPhoneDay)
            return waits
        }

        mutating func verified(_ account: String, _ phone: String, _ asker: Assurance) {
            for index in sent.indices where sent[index].asker == asker {
                if sent[index].phone == phone { sent[index].isUnverifiedOnPhone = false }
                if sent[index].account == account { sent[index].isUnverifiedOnAccount = false }
            }
        }
    }

    @Test func agreesWithCounting() throws {
        var met = Set<Limit>()
        for seed in 1...6 as ClosedRange<UInt64> { met.formUnion(try agrees(seed)) }
        // Of the day budgets of accounts and phones at least one each, and every other kind.
        #expect(met.count >= 8, "met \(met)")
    }

    /// Runs one seed; the limits that it met. Odd seeds are tight in different phones and accounts, even ones in sends.
    private func agrees(_ seed: UInt64) throws -> Set<Limit> {
        let tenant = World.tenant { tenant in
            (tenant.unverifiedPerHour, tenant.unverifiedPerDay) = (3, 6)
            (tenant.totalPerHour, tenant.totalPerDay) = (5, 9)
            let distinct = seed % 2 == 1 ? 2 : 5
            (tenant.phonesPerAccountDay, tenant.accountsPerPhoneDay) = (distinct, distinct)
        }
        let world = World(seed: seed, tenants: [tenant])
        var model = Model(tenant: tenant)
        var (met, passed, lastWait) = (Set<Limit>(), 0, nil as UInt64?)
        for step in 0..<2_000 {
            // Often exactly to the end of a wait, or a millisecond before it.
            switch Int.random(in: 0..<6, using: &world.generator) {
            case 0: world.now += lastWait ?? 0
            case 1: world.now += max(1, lastWait ?? 1) - 1
            case 2: world.now += UInt64.random(in: 0..<40_000, using: &world.generator)
            case 3: world.now += UInt64.random(in: 0..<2_000_000, using: &world.generator)
            case 4: world.now += UInt64.random(in: 0..<20_000_000, using: &world.generator)
            default: break
            }
            let account = ["a", "b", "c"].randomElement(using: &world.generator) ?? ""
            let phone = LimitTests.phone(Int.random(in: 1...3, using: &world.generator))
            let asker = Assurance.allCases.randomElement(using: &world.generator) ?? .anonymous
            let waits = model.check(account, phone, asker, world.now)
            // A session of its own: always a new challenge. It is verified or cancelled at once, so none is left open.
            let reply = world.requestCode(account, phone, session: UInt64(step + 1), as: asker)
            let note = "seed \(seed), step \(step), \(reply.text), model \(waits)" as Comment
            guard let challenge = reply.challenge else {
                let refusal = try #require(reply.refusal, note)
                let longest = waits.values.max() ?? 0
                #expect(UInt64(refusal.retryAfterMs) == longest, note)
                #expect(refusal.limit.map { waits[$0] } == longest, note)
                if let limit = refusal.limit { met.insert(limit) }
                lastWait = longest
                continue
            }
            #expect(waits.isEmpty, note)
            passed += 1
            model.sent.append(Sent(time: world.now, account: account, phone: phone, asker: asker))
            let id = challenge.challenge
            if Int.random(in: 0..<3, using: &world.generator) > 0 {
                #expect(world.cancel(id, session: UInt64(step + 1)).text == "done", note)
            } else {
                let code = try world.code(of: id)
                #expect(world.verify(id, code, session: UInt64(step + 1)).text == "verified", note)
                model.verified(account, phone, asker)
            }
        }
        #expect(passed > 100, "seed \(seed)")
        return met
    }
}
