import Testing
import Wire

@testable import Engine

/// Failures in a row, in every interleaving, lead to the blocks that `FailureModel` reads out of the list of
/// codes typed, and to no others.
@Suite struct FailurePropertyTests {
    /// Every answer to a request of every class is what the list says, and so is every event of a block.
    @Test func failuresInARow() throws {
        var met = Set<String>()
        for seed in [1, 2, 3, 4, 5, 7, 8, 10, 15] as [UInt64] {
            let walk = RuleWalk(seed: seed, tenant: RulePropertyTests.tenant)
            var model = FailureModel()
            try walk.run(500) { done in
                switch done.act {
                case .request(let who): met.insert(asked(done, who, model))
                case .resend(let target) where target.isOpen(done.now):
                    met.insert(stands(done, target.who, model) ?? "free")
                case .verify(let target, let isRight): met.formUnion(typed(done, target, isRight, &model))
                case .unblock(let account, let phone): met.insert(unblocked(done, account, phone, &model))
                case .resend, .cancel: break
                }
            }
        }
        let all = [
            "free", "assuranceTooLow", "blocked failureStreak", "blocked paymentStreak", "off",
            "verify minute", "right",
            "block failureStreak", "block paymentStreak", "unblocked", "unblock limited", "off anonymous",
            "off firstFactor",
            "off knownDevice", "five in a row",
        ]
        for name in all { #expect(met.contains(name), "no walk met: \(name)") }
    }

    private func asked(_ done: RuleWalk.Done, _ who: RuleWalk.Who, _ model: FailureModel) -> String {
        if who.purpose == 2, who.asker == .anonymous {
            #expect(done.reply.text == "assuranceTooLow", done.note)
            return "assuranceTooLow"
        }
        if let stands = stands(done, who, model) { return stands }
        #expect(
            done.reply.challenge != nil || [.limited, .startAnew].contains(done.reply.refusal?.status),
            done.note)
        return "free"
    }

    /// What the model says stands in the way; the reply must say it too, and nothing of the kind if nothing
    /// does.
    private func stands(_ done: RuleWalk.Done, _ who: RuleWalk.Who, _ model: FailureModel) -> String? {
        let refusal = done.reply.refusal
        switch model.standing(who, done.now, blockAfter: RulePropertyTests.blockAfter) {
        case .free:
            #expect(refusal?.status != .blocked && refusal?.status != .factorDisabled, done.note)
            return nil
        case .off:
            #expect(done.reply.text == "factorDisabled", done.note)
            return "off"
        case .blocked(let limits, let end):
            #expect(refusal?.status == .blocked, done.note)
            #expect(refusal?.limit.map(limits.contains) == true, "\(done.note), model \(limits)")
            #expect(
                UInt64(refusal?.retryAfterMs ?? 0) == end - done.now, "\(done.note), model \(end - done.now)")
            return "blocked \(refusal?.limit?.name ?? "-")"
        }
    }

    private func typed(
        _ done: RuleWalk.Done, _ target: RuleWalk.Known, _ isRight: Bool, _ model: inout FailureModel
    ) -> Set<String> {
        let refusal = done.reply.refusal
        let isCompared = done.reply.verified != nil || refusal?.status == .wrongCode
        if !isCompared {
            #expect(done.events.allSatisfy { $0.kind == EventPush.Kind.requestRefused.rawValue }, done.note)
            // It was over before this step: `isOpen` isn't changed by a refusal.
            guard target.isOpen(done.now) else {
                #expect(refusal?.status == .challengeNotOpen, done.note)
                return []
            }
        }
        if let stands = stands(done, target.who, model) { return [stands] }
        let compared = model.compared(target.who, done.now)
        guard compared.count < RulePropertyTests.perMinute else {
            let wait = compared[compared.count - RulePropertyTests.perMinute] + 60_000 - done.now
            #expect(refusal?.limit == .phoneVerifyMinute, done.note)
            #expect(
                refusal?.status == .startAnew || UInt64(refusal?.retryAfterMs ?? 0) == wait,
                "\(done.note), model \(wait)")
            return ["verify minute"]
        }
        #expect(isCompared && (done.reply.verified != nil) == isRight, done.note)
        return noted(done, target.who, isRight, &model)
    }

    /// The code counts; a block and the end of a class have their events at that moment, and at no other.
    private func noted(
        _ done: RuleWalk.Done, _ who: RuleWalk.Who, _ isRight: Bool, _ model: inout FailureModel
    ) -> Set<String> {
        model.list.append(.code(at: done.now, who, isRight: isRight))
        var due = Set<String>()
        if !isRight, who.purpose == 2, model.payments(who.account)?.began == done.now {
            due.insert("block paymentStreak")
        }
        let its = model.ofClass(who, blockAfter: RulePropertyTests.blockAfter)
        if !isRight, who.purpose != 2, its.block?.began == done.now { due.insert("block failureStreak") }
        if !isRight, its.offSince == done.now { due.insert("off \(who.asker)") }
        var told: [String] = []
        for event in done.events {
            let kind = EventPush.Kind(rawValue: event.kind)
            if kind == .accountBlocked { told.append("block \(Limit(rawValue: event.limit)?.name ?? "?")") }
            if kind == .factorDisabled { told.append("off \(who.asker)") }
            #expect(
                event.uid == UInt64(World().caller.uid) && event.assurance == who.asker.rawValue, done.note)
        }
        #expect(told.sorted() == due.sorted(), "\(done.note), told \(told)")
        if isRight { due.insert("right") }
        return due.union(fiveInARow(done, model))
    }

    /// The promise itself, without a model: among any five wrong payment codes in a row within 24 h the fifth
    /// has begun a block.
    private func fiveInARow(_ done: RuleWalk.Done, _ model: FailureModel) -> Set<String> {
        var met = Set<String>()
        for account in RuleWalk.accounts {
            var row: [UInt64] = []
            for entry in model.list {
                switch entry {
                case .unblock(_, account, _): row = []
                case .code(_, let who, isRight: true) where who.account == account && who.purpose == 2:
                    row = []
                case .code(let at, let who, isRight: false) where who.account == account && who.purpose == 2:
                    row.append(at)
                case .code, .unblock: continue
                }
            }
            guard row.count > 5, row[row.count - 1] == done.now else { continue }
            // The sixth may come, but fifteen minutes after a fifth that was within a day of the first.
            let (first, fifth, sixth) = (row[row.count - 6], row[row.count - 2], row[row.count - 1])
            met.insert("five in a row")
            let wasBlocked = (row.count - 6..<row.count - 1).contains { row[$0 + 1] - row[$0] >= 15 * 60_000 }
            #expect(
                sixth - first >= RuleBounds.dayMs || wasBlocked,
                "\(done.note): six in a row, the fifth at \(fifth)")
        }
        return met
    }

    private func unblocked(
        _ done: RuleWalk.Done, _ account: String, _ phone: String?, _ model: inout FailureModel
    ) -> String {
        let before = model.unblocks(account, done.now)
        guard before.count < 3 else {
            #expect(done.reply.refusal?.limit == .accountUnblocksDay, done.note)
            #expect(
                UInt64(done.reply.refusal?.retryAfterMs ?? 0) == before[before.count - 3] + RuleBounds.dayMs
                    - done.now, done.note)
            return "unblock limited"
        }
        #expect(done.reply.text == "done", done.note)
        #expect(done.events.map(\.kind) == [EventPush.Kind.accountUnblocked.rawValue], done.note)
        model.list.append(.unblock(at: done.now, account: account, phone: phone))
        return "unblocked"
    }

    /// Codes at the edges of a day, to the millisecond, over classes and phones: when the row of five ends,
    /// and how long its block lasts.
    @Test func aDayIsADay() throws {
        let world = World(tenants: [RulePropertyTests.tenant])
        var draw = SeededGenerator(seed: 97)
        var (met, model) = (Set<String>(), FailureModel())
        for round in 0..<60 {
            var times: [UInt64] = []
            let account = "account \(round)"
            for code in 0..<(8 + round % 5) {
                // Mostly when an earlier one is just a day old.
                let edge =
                    times.randomElement(using: &draw).map {
                        $0 + RuleBounds.dayMs + UInt64.random(in: 0...2, using: &draw) - 1
                    } ?? 0
                world.now += UInt64.random(in: 0..<5_000_000, using: &draw)
                if Int.random(in: 0..<2, using: &draw) == 0 { world.now = max(world.now, edge) }
                if let end = model.payments(account)?.end { world.now = max(world.now, end) }
                let asker: Assurance = code % 2 == 0 ? .firstFactor : .knownDevice
                let phone = LimitTests.phone(round * 20 + code)
                let who = RuleWalk.Who(
                    account: account, phone: phone, session: UInt64(code + 1), purpose: 2, asker: asker)
                let id = try world.open(account, phone, session: who.session, purpose: 2, as: asker)
                #expect(
                    world.verify(id, try world.wrongCode(of: id), session: who.session).refusal?.status
                        == .wrongCode)
                model.list.append(.code(at: world.now, who, isRight: false))
                times.append(world.now)
                let began = model.payments(account)?.began == world.now
                #expect(
                    world.kinds.contains(.accountBlocked) == began,
                    "round \(round), code \(code), \(times.map { $0 - times[0] })")
                guard began, let end = model.payments(account)?.end else { continue }
                met.insert("\((end - world.now) / 60_000)")
                #expect(
                    world.quota(account, phone, purpose: 2).text == "blocked paymentStreak \(end - world.now)"
                )
            }
            model.list.removeAll()
        }
        #expect(met == ["15", "30"])
    }
}
