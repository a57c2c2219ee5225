import Wire

/// Whether the events give each refusal its reason.
extension LedgerChecker {
    /// A refusal must be true of some moment between the request's sending and its answer.
    func justify(_ refused: History.Refused) {
        let who = refused.call.who
        guard who.account >= 0, who.phone >= 0 else { return }
        let isTrue: Bool
        switch refused.refusal.status {
        case .blocked:
            isTrue = blocks.contains {
                $0.pair == Pair(account: who.account, phone: who.phone) && $0.asker == Int(who.asker)
                    && $0.from <= refused.to
                    && $0.until > refused.from
            }
        case .factorDisabled:
            isTrue = (offSince[Pair(account: who.account, phone: who.phone)] ?? .max) <= refused.to
        default: isTrue = isFull(refused, who)
        }
        if !isTrue {
            history.violation(
                "refused without a reason: \(describe(.refused(refused.refusal))) between \(refused.from) and \(refused.to), \(who) "
                    + "[request \(refused.call.requestID)]")
        }
    }

    private func isFull(_ refused: History.Refused, _ who: Who) -> Bool {
        let (from, to) = (refused.from, refused.to)
        let (minute, hour, day): (UInt64, UInt64, UInt64) = (60_000, 3_600_000, 86_400_000)
        let phone = phones[Party(value: who.phone, asker: who.asker)] ?? []
        let account = accounts[Party(value: who.account, asker: who.asker)] ?? []
        func used(_ sends: [Send], _ window: UInt64, unverified: Bool) -> Int {
            sends.count { $0.at <= to && $0.at + window > from && !(unverified && $0.clearedAt < from) }
        }
        switch refused.refusal.limit {
        case .resendGap: return isInGap(phone, refused, who)
        case .challengeSends:
            return lives.contains {
                $0.value.sends >= 3 && history.challenges[$0.key]?.who.session == who.session
            }
        case .phoneUnverifiedHour: return used(phone, hour, unverified: true) >= 5
        case .phoneUnverifiedDay: return used(phone, day, unverified: true) >= 10
        case .phoneTotalHour: return used(phone, hour, unverified: false) >= 20
        case .phoneTotalDay: return used(phone, day, unverified: false) >= 50
        case .accountUnverifiedHour: return used(account, hour, unverified: true) >= 5
        case .accountUnverifiedDay: return used(account, day, unverified: true) >= 10
        case .accountTotalHour: return used(account, hour, unverified: false) >= 20
        case .accountTotalDay: return used(account, day, unverified: false) >= 50
        case .accountPhonesDay:
            let others = (usedPhones[Party(value: who.account, asker: who.asker)] ?? []).filter {
                $0.at <= to && $0.at + day > from
            }
            return Set(others.map(\.other)).count >= 3
        case .phoneAccountsDay:
            let others = (usedAccounts[Party(value: who.phone, asker: who.asker)] ?? []).filter {
                $0.at <= to && $0.at + day > from
            }
            return Set(others.map(\.other)).count >= 5
        case .phoneOpenChallenges:
            let open = history.order.filter { challenge in
                guard challenge.who.tenant == tenant, challenge.who.phone == who.phone,
                    challenge.who.asker == who.asker,
                    let life = lives[challenge.id]
                else { return false }
                return life.openedAt <= to && life.endedAt >= from
                    && life.openedAt + rules(challenge).lifeMs > from
            }
            return open.count >= 3
        case .phoneVerifyMinute:
            return (guesses[who.phone] ?? []).count { $0 <= to && $0 + minute > from } >= 10
        // In memory, by whole minutes: not a matter of events.
        case .requestRate, .serverLoad, .failureStreak, .some(.none), nil:
            return refused.refusal.limit == .requestRate
        }
    }

    private func isInGap(_ sends: [Send], _ refused: History.Refused, _ who: Who) -> Bool {
        let gaps = (policy.purposes[who.purpose] ?? SimPurpose()).gapMs
        let before = sends.filter { $0.at <= refused.to }
        guard let last = before.last, last.clearedAt >= refused.from else { return false }
        let open = before.count { $0.clearedAt >= refused.from && $0.at + 86_400_000 > last.at }
        return refused.from < last.at + gaps[min(open, gaps.count) - 1]
    }
}
