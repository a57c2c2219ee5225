import Wire

/// Recomputes naively, from the history of events, what each limit and cap must have said, and compares acknowledged answers with
/// the events that must stand for them. Written from the promises and the policy's table.
final class LedgerChecker {
    let history: History
    let tenant: UInt32
    let policy: SimPolicy
    private let events: [EventPush]

    struct Send {
        let at: UInt64
        let challenge: Bytes16
        /// When a right code cleared it.
        var clearedAt = UInt64.max
        var isVerified: Bool { clearedAt != .max }
    }
    struct Party: Hashable {
        let value: Int
        let asker: UInt8
    }
    struct Pair: Hashable {
        let account: Int
        let phone: Int
    }
    final class Life {
        let openedAt: UInt64
        var endedBy: UInt16 = 0
        var endedAt = UInt64.max
        var wrong = 0
        var sends = 1
        var verifiedAt: UInt64 = 0
        var isRedeemed = false
        init(openedAt: UInt64) { self.openedAt = openedAt }

        func end(_ event: EventPush) {
            endedBy = event.kind
            endedAt = event.engineTimeMs
        }
    }
    /// Blocks of an account and phone, and since when the factor is off, as they came.
    struct Block {
        let pair: Pair
        let asker: Int
        let from: UInt64
        let until: UInt64
    }
    private(set) var blocks: [Block] = []
    private(set) var offSince: [Pair: UInt64] = [:]
    private struct Streak {
        var total = 0
        var ofClass = [0, 0, 0]
        var blockedUntil: [UInt64] = [0, 0, 0]
        var lastMs: UInt64 = 0
    }

    private(set) var phones: [Party: [Send]] = [:]
    private(set) var accounts: [Party: [Send]] = [:]
    private(set) var usedPhones: [Party: [(at: UInt64, other: Int)]] = [:]
    private(set) var usedAccounts: [Party: [(at: UInt64, other: Int)]] = [:]
    private(set) var guesses: [Int: [UInt64]] = [:]
    private(set) var lives: [Bytes16: Life] = [:]
    private var streaks: [Pair: Streak] = [:]
    private var subjects: [Int: (id: Bytes16, seenMs: UInt64)] = [:]

    init(history: History, tenant: UInt32, events: [EventPush]) {
        self.history = history
        self.tenant = tenant
        self.events = events
        policy = history.policies[tenant] ?? SimPolicy()
    }

    private func say(_ text: String, _ event: EventPush) {
        history.violation(
            "\(text) [event \(event.cursor.sequence).\(event.cursor.index) at \(event.engineTimeMs), challenge \(event.challenge)]"
        )
    }

    func check() {
        var last: UInt64 = 0
        for event in events {
            if event.engineTimeMs < last { say("engine time went back from \(last)", event) }
            last = event.engineTimeMs
            guard let kind = EventPush.Kind(rawValue: event.kind) else { continue }
            if kind == .clockStepped {
                for life in lives.values where life.endedBy == 0 { life.endedBy = event.kind }
            }
            guard event.challenge != .zero,
                let challenge = history.challenge(event.challenge, seenIn: "Event")
            else { continue }
            apply(kind, event, challenge)
        }
        compare()
        for refused in history.refusals where refused.call.who.tenant == tenant { justify(refused) }
    }

    func rules(_ challenge: ChallengeHistory) -> SimPurpose {
        policy.purposes[challenge.who.purpose] ?? SimPurpose()
    }

    private func apply(_ kind: EventPush.Kind, _ event: EventPush, _ challenge: ChallengeHistory) {
        let now = event.engineTimeMs
        switch kind {
        case .codeRequested:
            if lives[challenge.id] != nil { return say("one RequestCode opened two challenges", event) }
            lives[challenge.id] = Life(openedAt: now)
            checkSubject(event, challenge)
            send(event, challenge, opens: true)
        case .codeResent:
            guard let life = open(event, challenge, "a message was sent") else { return }
            life.sends += 1
            if life.sends > rules(challenge).sends { say("more messages than a challenge may send", event) }
            send(event, challenge, opens: false)
        case .wrongCode: guessed(event, challenge)
        case .codeVerified:
            guard let life = open(event, challenge, "a code was accepted") else { return }
            countGuess(event, challenge)
            life.end(event)
            life.verifiedAt = now
            verified(challenge, now)
        case .attemptsExhausted:
            guard let life = lives[challenge.id] else { return }
            if life.wrong != rules(challenge).attempts {
                say("exhausted after \(life.wrong) attempts", event)
            }
            life.end(event)
        case .challengeCancelled, .challengeSuperseded:
            guard let life = open(event, challenge, "cancelled or superseded") else { return }
            life.end(event)
        case .grantRedeemed:
            guard let life = lives[challenge.id] else {
                return say("a grant of an unknown challenge was redeemed", event)
            }
            if life.isRedeemed { say("a grant was redeemed twice", event) }
            if life.verifiedAt == 0 || now >= life.verifiedAt + rules(challenge).grantMs {
                say("a grant was redeemed out of its time", event)
            }
            life.isRedeemed = true
        case .requestRefused, .codeSubmitted, .codeDelivered, .deliveryFailed, .accountBlocked,
            .factorDisabled,
            .clockStepped, .serverStarted, .serverDraining, .requestQuarantined, .refusalsCounted:
            break
        }
    }

    private func checkSubject(_ event: EventPush, _ challenge: ChallengeHistory) {
        // A subject ends 31 days after the last event that names it, at the earliest.
        if let known = subjects[challenge.who.account], known.id != event.subject,
            event.engineTimeMs < known.seenMs + 31 * 86_400_000
        {
            say("an account changed its subject", event)
        }
        subjects[challenge.who.account] = (event.subject, event.engineTimeMs)
    }

    private func open(_ event: EventPush, _ challenge: ChallengeHistory, _ what: String) -> Life? {
        guard let life = lives[challenge.id] else {
            say("\(what) on a challenge that was never opened", event)
            return nil
        }
        if life.endedBy != 0 { say("\(what) after event \(life.endedBy) had ended the challenge", event) }
        if event.engineTimeMs >= life.openedAt + rules(challenge).lifeMs {
            say("\(what) after the challenge's end", event)
        }
        return life
    }

    // MARK: sends (P4)

    private func count(_ sends: [Send], _ now: UInt64, _ window: UInt64, unverified: Bool) -> Int {
        sends.count { $0.at + window > now && !(unverified && $0.isVerified) }
    }

    private func send(_ event: EventPush, _ challenge: ChallengeHistory, opens: Bool) {
        let (now, who) = (event.engineTimeMs, challenge.who)
        let (phone, account) = (
            Party(value: who.phone, asker: who.asker), Party(value: who.account, asker: who.asker)
        )
        let before = phones[phone] ?? []
        // What is a day old counts for nothing any more.
        let newest = before.last?.at ?? 0
        let open = before.filter { !$0.isVerified && $0.at + 86_400_000 > newest }
        if let last = open.last, !rules(challenge).gapMs.isEmpty {
            let gaps = rules(challenge).gapMs
            if now < last.at + gaps[min(open.count, gaps.count) - 1] {
                say("sent within the gap after \(open.suffix(4).map(\.at)), \(open.count) unverified", event)
            }
        }
        let streak = streak(Pair(account: who.account, phone: who.phone), now)
        if now < streak.blockedUntil[Int(who.asker)] { say("sent while blocked", event) }
        if streak.total >= 100 { say("sent while the factor is off", event) }
        if policy.enforces { budgets(event, who, phone, account, opens: opens) }
        let new = Send(at: now, challenge: challenge.id)
        phones[phone, default: []].append(new)
        accounts[account, default: []].append(new)
        usedPhones[account, default: []].append((now, who.phone))
        usedAccounts[phone, default: []].append((now, who.account))
    }

    private func budgets(_ event: EventPush, _ who: Who, _ phone: Party, _ account: Party, opens: Bool) {
        let now = event.engineTimeMs
        let (hour, day): (UInt64, UInt64) = (3_600_000, 86_400_000)
        for (name, sends) in [("phone", phones[phone] ?? []), ("account", accounts[account] ?? [])] {
            if count(sends, now, hour, unverified: true) >= 5 {
                say("a 6th unverified send in an hour (\(name))", event)
            }
            if count(sends, now, day, unverified: true) >= 10 {
                say("an 11th unverified send in a day (\(name))", event)
            }
            if count(sends, now, hour, unverified: false) >= 20 {
                say("a 21st send in an hour (\(name))", event)
            }
            if count(sends, now, day, unverified: false) >= 50 {
                say("a 51st send in a day (\(name))", event)
            }
        }
        let others = Set((usedPhones[account] ?? []).filter { $0.at + day > now }.map(\.other))
        if !others.contains(who.phone), others.count >= 3 { say("a 4th phone of an account in a day", event) }
        let owners = Set((usedAccounts[phone] ?? []).filter { $0.at + day > now }.map(\.other))
        if !owners.contains(who.account), owners.count >= 5 {
            say("a 6th account of a phone in a day", event)
        }
        guard opens else { return }
        let alive = history.order.filter { other in
            guard other.id != event.challenge, other.who.tenant == tenant, other.who.phone == who.phone,
                other.who.asker == who.asker,
                let life = lives[other.id]
            else { return false }
            return life.endedBy == 0 && now < life.openedAt + rules(other).lifeMs
        }
        // A RequestCode that supersedes an open challenge of its session takes its place; the event of that came before.
        if alive.count >= 3 { say("a 4th open challenge of a phone", event) }
    }

    private func verified(_ challenge: ChallengeHistory, _ now: UInt64) {
        let who = challenge.who
        let (phone, account) = (
            Party(value: who.phone, asker: who.asker), Party(value: who.account, asker: who.asker)
        )
        for index in (phones[phone] ?? []).indices where phones[phone]?[index].isVerified == false {
            phones[phone]?[index].clearedAt = now
        }
        for index in (accounts[account] ?? []).indices where accounts[account]?[index].isVerified == false {
            accounts[account]?[index].clearedAt = now
        }
        streaks[Pair(account: who.account, phone: who.phone)] = nil
    }

    // MARK: guesses (P3)

    private func countGuess(_ event: EventPush, _ challenge: ChallengeHistory) {
        let (now, who) = (event.engineTimeMs, challenge.who)
        let minute = (guesses[who.phone] ?? []).count { $0 + 60_000 > now }
        if minute >= 10 { say("an 11th guess on a phone in a minute", event) }
        guesses[who.phone, default: []].append(now)
        let streak = streak(Pair(account: who.account, phone: who.phone), now)
        if now < streak.blockedUntil[Int(who.asker)] { say("a guess was evaluated while blocked", event) }
        if streak.total >= 100 { say("a guess was evaluated while the factor is off", event) }
    }

    /// Failures in a row are kept 400 days after the last, and at the cap for ever.
    private func streak(_ pair: Pair, _ now: UInt64) -> Streak {
        guard let streak = streaks[pair], streak.total >= 100 || now < streak.lastMs + 400 * 86_400_000 else {
            return Streak()
        }
        return streak
    }

    private func guessed(_ event: EventPush, _ challenge: ChallengeHistory) {
        guard let life = open(event, challenge, "a guess was evaluated") else { return }
        countGuess(event, challenge)
        life.wrong += 1
        let cap = rules(challenge).attempts
        if life.wrong > cap { say("more than \(cap) guesses were evaluated", event) }
        if Int(event.attemptsLeft) != cap - life.wrong {
            say("\(event.attemptsLeft) attempts left after \(life.wrong) of \(cap)", event)
        }
        let (now, who) = (event.engineTimeMs, challenge.who)
        let asker = Int(who.asker)
        var streak = streak(Pair(account: who.account, phone: who.phone), now)
        streak.lastMs = now
        streak.total += 1
        streak.ofClass[asker] += 1
        let first = rules(challenge).blockAfter
        let beyond = streak.ofClass[asker] - first
        if streak.total >= 100 {
            streak.blockedUntil = [0, 0, 0]
            let pair = Pair(account: who.account, phone: who.phone)
            if offSince[pair] == nil { offSince[pair] = now }
        } else if beyond >= 0, beyond % 5 == 0 {
            let minutes: [UInt64] = [15, 30, 60]
            streak.blockedUntil[asker] = now + minutes[min(beyond / 5, 2)] * 60_000
            let pair = Pair(account: who.account, phone: who.phone)
            blocks.append(Block(pair: pair, asker: asker, from: now, until: streak.blockedUntil[asker]))
        }
        streaks[Pair(account: who.account, phone: who.phone)] = streak
    }

    // MARK: answers against events

    /// Everything acknowledged has its event, and no effect came without a request of its own.
    private func compare() {
        for challenge in history.order where challenge.who.tenant == tenant {
            let life = lives[challenge.id]
            func miss(_ text: String) { history.violation("\(text) [challenge \(challenge.id)]") }
            if challenge.isAcknowledged, life == nil { miss("an acknowledged challenge has no event") }
            guard let life else { continue }
            if challenge.accepted != nil, life.verifiedAt == 0 {
                miss("an acknowledged right code has no event")
            }
            if challenge.redeemed != nil, !life.isRedeemed { miss("an acknowledged redemption has no event") }
            if challenge.wrong.count > life.wrong {
                miss("\(challenge.wrong.count) wrong codes were answered, \(life.wrong) counted")
            }
            if life.wrong > challenge.guesses {
                miss("\(life.wrong) guesses counted, \(challenge.guesses) were made")
            }
            if let sends = challenge.lastSend, sends > life.sends {
                miss("message \(sends) was given out, \(life.sends) were debited")
            }
            if challenge.resends > life.sends - 1 {
                miss("\(challenge.resends) resends were answered, \(life.sends - 1) debited")
            }
        }
    }
}
