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
    final class Life {
        let openedAt: UInt64
        var endedBy: UInt16 = 0
        var endedAt = UInt64.max
        var wrong = 0
        var sends = 1
        var verifiedAt: UInt64 = 0
        var isRedeemed = false
        /// Its own gaps, one after each of its messages.
        var gaps: [(at: UInt64, end: UInt64)] = []
        init(openedAt: UInt64) { self.openedAt = openedAt }

        func end(_ event: EventPush) {
            endedBy = event.kind
            endedAt = event.engineTimeMs
        }
    }
    var failures = Failures()
    /// Events of blocks and of classes that are off: what the wrong codes led to, and what was told.
    struct Outcome: Hashable {
        let sequence: UInt64
        let challenge: Bytes16
        let kind: UInt16
        let limit: UInt8
    }
    private var due: Set<Outcome> = []
    private var toldOutcomes: Set<Outcome> = []
    private(set) var refusedEvents: [EventPush] = []
    private var superseded: [(at: UInt64, challenge: ChallengeHistory)] = []
    private(set) var unblocks: [(at: UInt64, call: Call)] = []

    private(set) var phones: [Party: [Send]] = [:]
    private(set) var accounts: [Party: [Send]] = [:]
    private(set) var usedPhones: [Party: [(at: UInt64, other: Int)]] = [:]
    private(set) var usedAccounts: [Party: [(at: UInt64, other: Int)]] = [:]
    private(set) var guesses: [Party: [UInt64]] = [:]
    private(set) var lives: [Bytes16: Life] = [:]
    private var subjects: [Int: (id: Bytes16, seenMs: UInt64)] = [:]

    init(history: History, tenant: UInt32, events: [EventPush]) {
        self.history = history
        self.tenant = tenant
        self.events = events
        policy = history.policies[tenant] ?? SimPolicy()
    }

    func say(_ text: String, _ event: EventPush) {
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
            checkAsker(kind, event)
            // What was refused may be about a challenge that nobody ever got: the event says what was sent.
            if kind == .requestRefused {
                refused(event)
                continue
            }
            if kind == .accountUnblocked { unblocked(event) }
            guard event.challenge != .zero,
                let challenge = history.challenge(event.challenge, seenIn: "Event")
            else { continue }
            apply(kind, event, challenge)
        }
        compare()
        compareOutcomes()
        justifySuperseded()
        for refused in history.refusals where refused.call.who.tenant == tenant {
            justify(refused)
            mustBeTold(refused)
        }
    }

    func rules(_ challenge: ChallengeHistory) -> SimPurpose {
        policy.purposes[challenge.who.purpose] ?? SimPurpose()
    }

    private func apply(_ kind: EventPush.Kind, _ event: EventPush, _ challenge: ChallengeHistory) {
        let now = event.engineTimeMs
        switch kind {
        case .codeRequested:
            if lives[challenge.id] != nil { return say("one RequestCode opened two challenges", event) }
            onlyOne(event, challenge)
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
            if kind == .challengeSuperseded { superseded.append((now, challenge)) }
        case .grantRedeemed:
            guard let life = lives[challenge.id] else {
                return say("a grant of an unknown challenge was redeemed", event)
            }
            if life.isRedeemed { say("a grant was redeemed twice", event) }
            if life.verifiedAt == 0 || now >= life.verifiedAt + rules(challenge).grantMs {
                say("a grant was redeemed out of its time", event)
            }
            life.isRedeemed = true
        case .accountBlocked, .factorDisabled:
            let outcome = outcome(event, event.kind, event.limit)
            if !toldOutcomes.insert(outcome).inserted { say("a block was told twice", event) }
        case .requestRefused, .codeSubmitted, .codeDelivered, .deliveryFailed, .accountUnblocked,
            .clockStepped, .serverStarted, .serverDraining, .requestQuarantined, .refusalsCounted, .tornTailDropped, .requestsLost:
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

    /// One open challenge of a key at a time; what it takes the place of was closed before.
    private func onlyOne(_ event: EventPush, _ challenge: ChallengeHistory) {
        let now = event.engineTimeMs
        for other in history.order where other.id != challenge.id && other.who.isOneKey(challenge.who) {
            guard let life = lives[other.id], life.endedBy == 0, now < life.openedAt + rules(other).lifeMs
            else { continue }
            say("opened beside \(other.id) of the same account, purpose, session and class", event)
        }
    }

    /// A challenge is superseded by one of its own key that is opened at that moment: on another phone, or because little is left of it.
    private func justifySuperseded() {
        for (at, former) in superseded {
            guard let life = lives[former.id] else { continue }
            let isLate = at > rules(former).lastMoment(life.openedAt + rules(former).lifeMs)
            let hasReason = history.order.contains { other in
                other.id != former.id && lives[other.id]?.openedAt == at && other.who.isOneKey(former.who)
                    && (other.who.phone != former.who.phone || isLate)
            }
            if !hasReason {
                history.violation("superseded without a reason at \(at) [challenge \(former.id)]")
            }
        }
    }

    func note(refused event: EventPush) { refusedEvents.append(event) }

    // MARK: Unblock

    private func unblocked(_ event: EventPush) {
        guard let call = history.unblocks[event.reason.text], case .unblock(let m) = call.ask else {
            return say("an Unblock that nobody asked for", event)
        }
        if event.actor != m.actor || call.who.tenant != tenant { say("an Unblock in another's name", event) }
        let now = event.engineTimeMs
        if unblocks.contains(where: { $0.call === call }) { say("an Unblock acted twice", event) }
        if unblocks.count(where: { $0.call.who.account == call.who.account && $0.at + 86_400_000 > now }) >= 3
        {
            say("a 4th Unblock of an account in 24 h", event)
        }
        unblocks.append((now, call))
        failures.unblock(call.who, at: now)
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
        checkStanding("sent", event, challenge)
        if let life = lives[challenge.id], let own = life.gaps.last, now < own.end {
            say("sent within the challenge's own gap, until \(own.end)", event)
        }
        if policy.enforces { budgets(event, who, phone, account, opens: opens) }
        let gaps = rules(challenge).gapMs
        let unverified = before.count { !$0.isVerified && $0.at + 86_400_000 > now }
        lives[challenge.id]?.gaps.append((now, now + gaps[min(unverified, gaps.count - 1)]))
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
        failures.right(who, isPayment: rules(challenge).isPayment, at: now)
    }

    // MARK: guesses (P3)

    private func countGuess(_ event: EventPush, _ challenge: ChallengeHistory) {
        let (now, who) = (event.engineTimeMs, challenge.who)
        let phone = Party(value: who.phone, asker: who.asker)
        let minute = (guesses[phone] ?? []).count { $0 + 60_000 > now }
        if minute >= 10 { say("an 11th guess on a phone and class in a minute", event) }
        guesses[phone, default: []].append(now)
        checkStanding("a guess was evaluated", event, challenge)
    }

    private func checkStanding(_ what: String, _ event: EventPush, _ challenge: ChallengeHistory) {
        let (now, who, isPayment) = (event.engineTimeMs, challenge.who, rules(challenge).isPayment)
        if let block = failures.blocks.last(where: { $0.stops(who, isPayment) && now < $0.end }) {
            say("\(what) while blocked (\(block.limit)) until \(block.end)", event)
        }
        if failures.isOff(who, at: now) { say("\(what) while the class is off", event) }
        if isPayment, who.asker == 0 { say("\(what) for a payment without a first factor", event) }
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
        let led = failures.wrong(challenge.who, rules(challenge), policy, at: event.engineTimeMs)
        if let limit = led.block {
            due.insert(outcome(event, EventPush.Kind.accountBlocked.rawValue, limit.rawValue))
        }
        if led.isOff { due.insert(outcome(event, EventPush.Kind.factorDisabled.rawValue, 0)) }
    }

    private func outcome(_ event: EventPush, _ kind: UInt16, _ limit: UInt8) -> Outcome {
        Outcome(sequence: event.cursor.sequence, challenge: event.challenge, kind: kind, limit: limit)
    }

    /// A block has its event in the commit of the wrong code that began it, and no other has one.
    private func compareOutcomes() {
        for missing in due.subtracting(toldOutcomes) {
            history.violation(
                "a block (kind \(missing.kind), limit \(missing.limit)) of commit \(missing.sequence) has no event"
            )
        }
        for wrong in toldOutcomes.subtracting(due) {
            history.violation(
                "a block (kind \(wrong.kind), limit \(wrong.limit)) without a reason in commit \(wrong.sequence)"
            )
        }
    }
}
