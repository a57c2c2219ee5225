import Testing
import Wire

@testable import Engine

/// What must hold in every interleaving: a refusal costs nothing, the same bytes act once, and a challenge
/// ends for a reason of its own key alone.
@Suite struct RulePropertyTests {
    /// Of the log-ins: two purposes that share a row of failures and differ in what it leads to.
    static let blockAfter: [UInt16: Int] = [1: 8, 3: 5]
    static let perMinute = 4

    /// Its budgets are out of the way, so that walks get as far as the shares.
    static var tenant: TenantPolicy {
        World.generous { tenant in
            tenant.modes.setAll(.off)
            tenant.verifiesPerPhoneMinute = perMinute
            tenant.purposes.append(World.purpose(3) { $0.name = "settings" })
            for index in tenant.purposes.indices {
                guard let after = blockAfter[tenant.purposes[index].number] else { continue }
                tenant.purposes[index].streak = StreakPolicy(blockAfter: UInt16(after))
            }
        }
    }

    // MARK: refusals cost nothing

    /// No record but an event changes by a refusal; but for a wrong code, which is one attempt.
    @Test func aRefusalDebitsNothing() throws {
        var met = Set<Status>()
        for (seed, tenant) in [
            (21, World.tenant()), (22, World.tenant()), (23, Self.tenant), (20, Self.tenant),
        ] {
            let walk = RuleWalk(seed: UInt64(seed), tenant: tenant)
            try walk.run(400) { done in
                guard let status = done.reply.refusal?.status, status != .wrongCode else { return }
                met.insert(status)
                for change in done.changes where change.table != .event {
                    // What an event names is kept as long as the event: the account is written again, as it
                    // was.
                    let place = MemoryState.Place(table: change.table.rawValue, key: change.key)
                    #expect(
                        change.value != nil && done.before.rows[place]?.value == change.value,
                        "\(done.note), \(change.table)")
                }
            }
        }
        for status: Status in [
            .limited, .blocked, .factorDisabled, .startAnew, .assuranceTooLow, .challengeNotOpen,
        ] {
            #expect(met.contains(status), "no walk met \(status)")
        }
    }

    /// A retry of the same bytes tells the same and writes nothing but events.
    @Test func theSameBytesActOnce() throws {
        for seed in 31...34 as ClosedRange<UInt64> {
            let walk = RuleWalk(seed: seed, tenant: Self.tenant)
            try walk.run(250) { done in
                let isDone = done.reply.refusal == nil || done.reply.refusal?.status == .wrongCode
                guard isDone else { return }
                let rows = walk.world.state.withoutEvents
                let again = walk.world.send(done.request)
                #expect(again.text == done.reply.text, done.note)
                if let grant = done.reply.verified {
                    #expect(
                        grant.repeated == nil && again.verified?.repeated == 1
                            && again.verified?.grant == grant.grant, done.note)
                }
                #expect(walk.world.state.withoutEvents == rows, done.note)
            }
        }
    }

    // MARK: one open challenge of a key

    @Test func onlyItsOwnKeyEndsAChallenge() throws {
        var superseded = 0
        for seed in 41...45 as ClosedRange<UInt64> {
            let walk = RuleWalk(seed: seed, tenant: Self.tenant)
            var open: [Bytes16: RuleWalk.Known] = [:]
            try walk.run(300) { done in
                for known in walk.known where known.isOpen(done.now) && open[known.id] == nil {
                    open[known.id] = known
                }
                for (id, target) in open {
                    let state = walk.world.status(id, session: target.who.session).text
                    guard state != "open" else { continue }
                    open[id] = nil
                    let isDue: Bool
                    switch (state, done.act) {
                    case ("expired", _): isDue = done.now >= target.expiresAt
                    case ("verified", .verify(let it, isRight: true)), ("cancelled", .cancel(let it)):
                        isDue = it.id == id
                    case ("exhausted", .verify(let it, isRight: false)): isDue = it.id == id && it.wrong == 5
                    // Its record has gone.
                    case ("challengeNotOpen", _): isDue = done.now >= id.timeMs + 1_320_000
                    case ("superseded", .request(let who)):
                        superseded += 1
                        isDue =
                            who.isOneKey(target.who)
                            && (who.phone != target.who.phone || done.now > target.lastMoment)
                    default: isDue = false
                    }
                    #expect(isDue, "\(done.note): \(target.who.text) is \(state)")
                }
                for (a, one) in open {
                    for (b, other) in open where a != b {
                        #expect(!one.who.isOneKey(other.who), "\(done.note): two are open of \(one.who.text)")
                    }
                }
            }
        }
        #expect(superseded > 10)
    }
}
