import Testing
import Wire

@testable import Engine

/// A wait that is told comes true, to the millisecond; what can't pass any more says so.
@Suite struct RetryAfterTests {
    /// Tight, so that every limit is met; the gaps of payments are longer than those of log-ins.
    static func tenant(_ seed: UInt64) -> TenantPolicy {
        World.tenant { tenant in
            if seed % 3 == 0 {
                (tenant.unverifiedPerHour, tenant.unverifiedPerDay) = (3, 7)
                (tenant.totalPerHour, tenant.totalPerDay) = (4, 9)
            }
            if seed % 3 == 1 { (tenant.phonesPerAccountDay, tenant.accountsPerPhoneDay) = (2, 1) }
            if seed % 3 == 2 {
                (tenant.unverifiedPerHour, tenant.unverifiedPerDay, tenant.openPerPhone) = (40, 40, 2)
            }
            tenant.verifiesPerPhoneMinute = 3
            for index in tenant.purposes.indices {
                if tenant.purposes[index].number == 2 {
                    tenant.purposes[index].gapMs = [40_000, 90_000]
                } else {
                    tenant.purposes[index].streak = StreakPolicy(blockAfter: 7)
                    tenant.purposes[index].sendsPerChallenge = 2
                }
            }
        }
    }

    private static let limits: Set<Status> = [.limited, .blocked, .factorDisabled, .startAnew]

    private func isLimited(_ reply: Reply) -> Bool { reply.refusal?.status.map(Self.limits.contains) == true }

    @Test func theWaitIsExact() throws {
        var met = Set<String>()
        for seed in 51...64 as ClosedRange<UInt64> {
            let walk = RuleWalk(seed: seed, tenant: Self.tenant(seed))
            try walk.run(350) { done in
                guard let refusal = done.reply.refusal, let status = refusal.status, isLimited(done.reply)
                else { return }
                met.insert("\(status) \(refusal.limit?.name ?? "?")")
                let wait = UInt64(refusal.retryAfterMs)
                switch (status, done.act) {
                case (.factorDisabled, _): #expect(wait == 0, done.note)
                case (.blocked, .request(let who)): blocked(walk, done, who, wait)
                case (.blocked, .resend(let target)), (.blocked, .verify(let target, _)):
                    blocked(walk, done, target.who, wait)
                case (.limited, .unblock):
                    #expect(
                        done.now + wait <= done.requestedAt + 660_000,
                        "\(done.note): the request id is over before")
                    comesTrue(walk, done, done.request, wait)
                case (_, .unblock(let account, _)):
                    var m = Unblock()
                    (m.requestID, m.account) = (walk.world.newID(done.now + wait), AccountBytes(account))
                    (m.actor, m.reason) = (InlineBytes("marie"), InlineBytes("why"))
                    comesTrue(walk, done, .unblock(m), wait)
                case (.limited, let act):
                    #expect(
                        done.now + wait <= done.requestedAt + 660_000,
                        "\(done.note): the request id is over before")
                    let end: UInt64
                    switch act {
                    case .resend(let target): end = target.lastMoment
                    case .verify(let target, _): end = target.expiresAt
                    case .request, .cancel, .unblock: end = .max
                    }
                    #expect(done.now + wait <= end, "\(done.note): the challenge is over before")
                    if case .request(let who) = act { lastsOrNot(walk, done, who, wait) }
                    comesTrue(walk, done, done.request, wait)
                case (_, .request(let who)):
                    lastsOrNot(walk, done, who, wait)
                    comesTrue(walk, done, walk.anew(who, at: done.now + wait), wait)
                case (_, .resend(let target)), (_, .verify(let target, _)):
                    comesTrue(walk, done, walk.anew(target.who, at: done.now + wait), wait)
                case (_, .cancel): Issue.record("\(done.note): never of these")
                }
            }
        }
        for name in [
            "limited resendGap", "limited phoneUnverifiedHour", "startAnew phoneUnverifiedHour",
            "startAnew phoneUnverifiedDay",
            "startAnew phoneAccountsDay", "startAnew accountPhonesDay", "limited phoneOpenChallenges",
            "limited phoneVerifyMinute",
            "blocked failureStreak", "blocked paymentStreak", "factorDisabled none", "startAnew none",
            "startAnew challengeSends",
            "limited challengeSends", "startAnew resendGap",
        ] where !met.contains(name) { Issue.record("no walk met: \(name); met \(met.sorted())") }
    }

    /// A request id that lives to the end of the wait, and one that ends a millisecond before it.
    private func lastsOrNot(_ walk: RuleWalk, _ done: RuleWalk.Done, _ who: RuleWalk.Who, _ wait: UInt64) {
        guard (1...1_320_000).contains(wait) else { return }
        let time = done.now + wait - 660_000
        for (time, status) in [(time, Status.limited), (time - 1, .startAnew)] {
            let reply = walk.answer(walk.anew(who, at: time), at: done.now)
            #expect(
                reply.refusal?.status == status && UInt64(reply.refusal?.retryAfterMs ?? 0) == wait,
                "\(done.note), \(reply.text)")
        }
    }

    /// The same bytes, or the new request, pass after `wait` and a millisecond before don't. A new
    /// RequestCode sends a message then; before it may join, which sends none.
    private func comesTrue(_ walk: RuleWalk, _ done: RuleWalk.Done, _ request: Request, _ wait: UInt64) {
        let after = walk.answer(request, at: done.now + wait)
        #expect(!isLimited(after), "\(done.note), then \(after.text)")
        if case .requestCode = request {
            #expect(["created", "resent"].contains(after.text), "\(done.note), then \(after.text)")
        }
        guard wait > 0 else { return }
        let early = walk.answer(request, at: done.now + wait - 1)
        #expect(
            isLimited(early) || early.text == "joined", "\(done.note), a millisecond before \(early.text)")
    }

    /// Its end is the block's: another limit may hold by then.
    private func blocked(_ walk: RuleWalk, _ done: RuleWalk.Done, _ who: RuleWalk.Who, _ wait: UInt64) {
        let after = walk.answer(walk.anew(who, at: done.now + wait), at: done.now + wait)
        #expect(after.refusal?.status != .blocked, "\(done.note), then \(after.text)")
        let early = walk.answer(walk.anew(who, at: done.now + wait - 1), at: done.now + wait - 1)
        #expect(early.refusal?.status == .blocked, "\(done.note), a millisecond before \(early.text)")
    }

    /// Quota is the dry run of a RequestCode with an id of now: the same refusal, byte for byte.
    @Test func quotaSaysTheSame() throws {
        var refused = 0
        for seed in 71...74 as ClosedRange<UInt64> {
            let walk = RuleWalk(seed: seed, tenant: Self.tenant(seed))
            try walk.run(300) { done in
                guard case .request(let who) = done.act, done.requestedAt == done.now else { return }
                var m = Quota()
                (m.purpose, m.assurance) = (who.purpose, who.asker.rawValue)
                (m.account, m.phone) = (AccountBytes(who.account), PhoneBytes(who.phone))
                m.session = World.session(who.session)
                let now = walk.world.state
                walk.world.state = done.before
                let quota = walk.world.send(.quota(m))
                walk.world.state = now
                if let refusal = done.reply.refusal {
                    refused += 1
                    #expect(quota.refusal == refusal, "\(done.note), Quota \(quota.text)")
                } else {
                    #expect(quota.refusal == nil, "\(done.note), Quota \(quota.text)")
                }
            }
        }
        #expect(refused > 100)
    }
}
