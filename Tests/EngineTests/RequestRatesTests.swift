import Testing
import Wire

@testable import Engine

/// Refusal floods: bounded events, bounded memory, and nothing that a shopper needs is in their way.
@Suite struct RequestRatesTests {
    private let minute: UInt64 = 60_000

    private func keys(account: UInt64 = 0, phone: UInt64 = 0, challenge: UInt64 = 0, address: UInt64 = 0, uid: UInt64 = 1)
        -> RequestRates.Keys
    {
        RequestRates.Keys(tenant: 1, caller: uid, counted: [account, phone, challenge, address])
    }

    private let refusal = Refusal(.limited, limit: .phoneUnverifiedHour, retryAfterMs: 1)

    /// A flood on one phone: ten are told, the rest of the minute is counted; beyond sixty nothing is decided.
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
        #expect(counts.map(\.count) == [50, 140] && counts.map(\.limit) == [Limit.phoneUnverifiedHour.rawValue, Limit.requestRate.rawValue])
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

    /// A flood over a million accounts and phones pushes out their counts; the caller's own still bounds the events.
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
        #expect(rates.admit(keys(account: 1, uid: 2), now: now) == .passes, "another caller's refusals are told")
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

    @Test func onlyRequestsForCodesAreCounted() {
        let world = World()
        #expect(world.engine.rateKeys(.requestCode(RequestCode()), world.caller) != nil)
        #expect(world.engine.rateKeys(.resend(Resend()), world.caller) != nil)
        for request: Request in [
            .verify(Verify()), .cancel(Cancel()), .status(StatusRequest()), .quota(Quota()), .checkGrant(CheckGrant()),
            .redeemGrant(RedeemGrant()), .report(ReportMessage()), .receipt(ReportReceipt()),
        ] { #expect(world.engine.rateKeys(request, world.caller) == nil) }
    }
}
