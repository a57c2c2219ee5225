import Wire

/// Whether the events give each refusal its reason.
extension LedgerChecker {
    /// A refusal must be true of some moment between the request's sending and its answer.
    func justify(_ refused: History.Refused) {
        let who = refused.call.who
        if case .unblock = refused.call.ask {} else if who.account < 0 || who.phone < 0 { return }
        let isTrue: Bool
        switch refused.refusal.status {
        case .blocked: isTrue = isBlocked(refused, who)
        case .factorDisabled:
            let place = Failures.Place(account: who.account, phone: who.phone, asker: who.asker)
            isTrue = failures.offs.contains {
                $0.place == place && $0.from <= refused.to && $0.end >= refused.from
            }
        case .assuranceTooLow: isTrue = who.asker == 0 && policy.purposes[who.purpose]?.isPayment == true
        case .startAnew: isTrue = isTooLate(refused, who) || isFull(refused, who)
        case .limited: isTrue = isFull(refused, who)
        default: return
        }
        if !isTrue {
            history.violation(
                "refused without a reason: \(describe(.refused(refused.refusal))) between \(refused.from) and \(refused.to), \(who) "
                    + "[request \(refused.call.requestID)]")
        }
    }

    /// A block that it names stood, and no longer one was kept from it.
    private func isBlocked(_ refused: History.Refused, _ who: Who) -> Bool {
        let isPayment = policy.purposes[who.purpose]?.isPayment == true
        let its = failures.blocks.filter { $0.stops(who, isPayment) }
        let told = refused.to + UInt64(refused.refusal.retryAfterMs)
        if its.contains(where: { $0.from < refused.from && $0.end > refused.to && $0.until > told }) {
            return false
        }
        // What ended it may have come later in the same millisecond.
        return its.contains {
            $0.limit == refused.refusal.limit && $0.from <= refused.to && $0.end >= refused.from
        }
    }

    /// A Resend of a challenge that has no message left, or too little time for one.
    private func isTooLate(_ refused: History.Refused, _ who: Who) -> Bool {
        guard case .resend(let m) = refused.call.ask, let challenge = history.challenges[m.challenge],
            let life = lives[m.challenge]
        else { return false }
        let rules = rules(challenge)
        return refused.to > rules.lastMoment(life.openedAt + rules.lifeMs) || life.sends >= rules.sends
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
            return lives.contains { id, life in
                guard let challenge = history.challenges[id] else { return false }
                return challenge.who == who && life.sends >= rules(challenge).sends
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
            return (guesses[Party(value: who.phone, asker: who.asker)] ?? []).count {
                $0 <= to && $0 + minute > from
            } >= 10
        case .accountUnblocksDay:
            return unblocks.count { $0.call.who.account == who.account && $0.at <= to && $0.at + day > from }
                >= 3
        case .requestRate: return isFlooded(refused, who)
        case .serverLoad, .failureStreak, .paymentStreak, .some(.none), nil: return false
        }
    }

    /// In memory, by whole minutes, so not a matter of events: more than sixty were under way, of this class and as they should be.
    private func isFlooded(_ refused: History.Refused, _ who: Who) -> Bool {
        let (from, to) = (refused.from / 60_000 * 60_000, refused.to / 60_000 * 60_000 + 60_000)
        let alike = history.writes.count { call, sent, answered in
            let other = call.who
            return call.ask.asksForCode && other.tenant == tenant && other.asker == who.asker
                && other.account >= 0
                && other.phone >= 0 && (other.account == who.account || other.phone == who.phone)
                && sent < to && answered >= from
        }
        return alike > 60
    }

    private func isInGap(_ sends: [Send], _ refused: History.Refused, _ who: Who) -> Bool {
        let gaps = (policy.purposes[who.purpose] ?? SimPurpose()).gapMs
        // A challenge's own gap holds until its end, whatever right codes do to the phone's.
        let isInOwn = history.order.contains { challenge in
            challenge.who == who
                && lives[challenge.id]?.gaps.contains { $0.at <= refused.to && $0.end > refused.from } == true
        }
        if isInOwn { return true }
        let before = sends.filter { $0.at <= refused.to }
        guard let last = before.last, last.clearedAt >= refused.from else { return false }
        let open = before.count { $0.clearedAt >= refused.from && $0.at + 86_400_000 > last.at }
        return refused.from < last.at + gaps[min(open, gaps.count) - 1]
    }
}
