import Testing
import Wire

@testable import Engine

/// A random walk over what a shopper, an attacker and support can do: purposes, classes, phones, sessions,
/// accounts, resends, cancels, right and wrong codes, Unblock, time and restarts. The same seed gives the
/// same walk. It knows no rule: tests watch each of its steps.
final class RuleWalk {
    struct Who: Hashable {
        var account: String
        var phone: String
        var session: UInt64
        var purpose: UInt16
        var asker: Assurance
    }

    /// A challenge that a reply made.
    final class Known {
        let id: Bytes16
        let who: Who
        let createdAt: UInt64
        let expiresAt: UInt64
        /// Something that was answered has ended it.
        var isOver = false
        var wrong = 0

        init(_ id: Bytes16, _ who: Who, createdAt: UInt64, expiresAt: UInt64) {
            (self.id, self.who, self.createdAt, self.expiresAt) = (id, who, createdAt, expiresAt)
        }

        /// Later than this no message of it is of use: the least of a minute and a third of its life is left.
        var lastMoment: UInt64 { expiresAt - min(60_000, (expiresAt - createdAt) / 3) }
        func isOpen(_ now: UInt64) -> Bool { !isOver && now < expiresAt }
    }

    enum Act {
        case request(Who)
        case resend(Known)
        case verify(Known, isRight: Bool)
        case cancel(Known)
        case unblock(account: String, phone: String?)
    }

    /// One step: what was asked, what came, and the records before it.
    struct Done {
        var act: Act
        var request: Request
        var requestedAt: UInt64
        var now: UInt64
        var reply: Reply
        var events: [EventPush]
        var changes: [MemoryState.Change]
        var before: MemoryState
        /// The challenge that was open on the very key and phone of a RequestCode.
        var former: Known?
        var note: Comment
    }

    static let accounts = ["alice", "bob"]
    static let phones = ["+33612345678", "+33612345679", "+33612345670"]

    let seed: UInt64
    private let tenants: [TenantPolicy]
    private(set) var world: World
    private(set) var known: [Known] = []
    /// Moments at which something may end: time likes to stop there, and a millisecond before and after.
    private var edges: [UInt64] = []
    private var draw: SeededGenerator
    private var steps = 0
    /// Of 100 requests so many are for payments; of 100, so many are of the favourite class.
    private let payments: Int
    /// All classes alike.
    private var isMixed: Bool { seed % 4 == 2 }
    private let favourite: Assurance
    private let spread: Int
    /// One class, account and phone, and hardly a right code: such a walk gets as far as the class's share.
    private let isStubborn: Bool
    private let logins: [UInt16]

    init(seed: UInt64, tenant: TenantPolicy) {
        self.seed = seed
        tenants = [tenant]
        logins = tenant.purposes.filter { !$0.isPayment }.map(\.number)
        draw = SeededGenerator(seed: seed)
        world = World(seed: seed, tenants: tenants)
        isStubborn = seed % 5 == 0
        payments = isStubborn ? 0 : [30, 70, 0, 100][Int(seed % 4)]
        favourite = Assurance.allCases[Int(isStubborn ? seed / 5 % 3 : seed / 2 % 3)]
        spread = isStubborn ? 2 : seed % 3 == 0 ? 60 : 15
    }

    func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &draw) }
    func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// `watch` sees each step after it was done.
    func run(_ count: Int, _ watch: (Done) throws -> Void) throws {
        for _ in 0..<count {
            steps += 1
            pass()
            if chance(3) { restart() }
            let act = next()
            let time = chance(85) ? world.now : world.now - UInt64(below(659_000))
            try watch(perform(act, try request(act, time), time))
        }
    }

    /// What `request` would be answered at `time`, if nothing happened until then.
    func answer(_ request: Request, at time: UInt64) -> Reply {
        let (state, now) = (world.state, world.now)
        defer { (world.state, world.now) = (state, now) }
        world.now = time
        return world.send(request)
    }

    /// A new RequestCode of the same account, phone, session, purpose and class.
    func anew(_ who: Who, at time: UInt64) -> Request {
        var m = RequestCode()
        m.requestID = world.newID(time)
        m.purpose = who.purpose
        m.assurance = who.asker.rawValue
        m.account = AccountBytes(who.account)
        m.phone = PhoneBytes(who.phone)
        m.session = World.session(who.session)
        return .requestCode(m)
    }

    // MARK: what comes next

    private func pass() {
        switch below(24) {
        case 0..<10: break
        case 10..<13: world.now += UInt64(1 + below(2_000))
        case 13..<15: world.now += UInt64(20_000 + below(130_000))
        case 15: world.now += UInt64(60_000 * (1 + below(20)))
        case 16 where chance(40): world.now += UInt64(below(5 * 3_600_000))
        case 17 where chance(15): world.now += RuleBounds.dayMs * UInt64(1 + below(3)) + UInt64(below(2))
        case 18 where chance(3): world.now += 400 * RuleBounds.dayMs - UInt64(below(3))
        case 16...18: break
        default:
            edges.removeAll { $0 <= world.now }
            let nearest = edges.min()
            guard let edge = chance(70) ? nearest : edges.randomElement(using: &draw) else { return }
            world.now = max(world.now, edge + UInt64(below(3)) - 1)
        }
    }

    /// The records alone are left.
    private func restart() {
        let old = world
        world = World(seed: draw.next(), tenants: tenants)
        (world.state, world.now) = (old.state, old.now)
        let now = world.now
        world.state.rows = world.state.rows.filter { $0.value.expiresAt == 0 || $0.value.expiresAt > now }
    }

    private func anybody() -> Who {
        Who(
            account: RuleWalk.accounts[chance(spread) ? below(2) : 0],
            phone: RuleWalk.phones[chance(spread) ? below(3) : 0], session: UInt64(1 + below(3)),
            purpose: below(100) < payments ? 2 : logins[below(logins.count)],
            asker: chance(isStubborn ? 95 : isMixed ? 0 : 70) ? favourite : Assurance.allCases[below(3)])
    }

    private func next() -> Act {
        // One that is over is asked about too, at times.
        let open = known.filter { $0.isOpen(world.now) }
        guard let target = chance(95) ? open.randomElement(using: &draw) : known.last else {
            return .request(anybody())
        }
        switch below(100) {
        case 0..<10:
            var who = target.who
            if chance(40) { who.phone = RuleWalk.phones[below(3)] }
            return .request(who)
        case 10..<30: return .request(anybody())
        case 30..<42: return .resend(target)
        case 42..<90: return .verify(target, isRight: chance(isStubborn ? 1 : isMixed ? 4 : 7))
        case 90..<95: return .cancel(target)
        default:
            if isStubborn, chance(95) { return .verify(target, isRight: false) }
            let phone = chance(60) ? RuleWalk.phones[chance(spread) ? below(3) : 0] : nil
            return .unblock(account: RuleWalk.accounts[chance(spread) ? below(2) : 0], phone: phone)
        }
    }

    private func request(_ act: Act, _ time: UInt64) throws -> Request {
        switch act {
        case .request(let who): return anew(who, at: time)
        case .resend(let target):
            var m = Resend()
            (m.requestID, m.challenge) = (world.newID(time), target.id)
            m.session = World.session(target.who.session)
            return .resend(m)
        case .verify(let target, let isRight):
            var m = Verify()
            (m.requestID, m.challenge) = (world.newID(time), target.id)
            m.session = World.session(target.who.session)
            // Of one that is over the code may be gone with its record.
            let isThere = target.isOpen(world.now)
            m.code =
                !isThere
                ? CodeBytes("234567")
                : isRight ? try world.code(of: target.id) : try world.wrongCode(of: target.id, below(7))
            return .verify(m)
        case .cancel(let target):
            var m = Cancel()
            (m.requestID, m.challenge) = (world.newID(time), target.id)
            m.session = World.session(target.who.session)
            return .cancel(m)
        case .unblock(let account, let phone):
            var m = Unblock()
            m.requestID = world.newID(time)
            m.account = AccountBytes(account)
            m.phone = PhoneBytes(phone ?? "")
            (m.actor, m.reason) = (InlineBytes("marie"), InlineBytes("called back"))
            return .unblock(m)
        }
    }

    private func perform(_ act: Act, _ request: Request, _ time: UInt64) -> Done {
        let before = world.state
        var former: Known?
        if case .request(let who) = act { former = known.last { $0.who == who && $0.isOpen(world.now) } }
        let reply = world.send(request)
        let note =
            "seed \(seed), step \(steps), at \(world.now - World.start): \(act.text) -> \(reply.text)"
            as Comment
        let done = Done(
            act: act, request: request, requestedAt: time, now: world.now, reply: reply, events: world.events,
            changes: world.changes, before: before, former: former, note: note)
        for change in world.changes where change.table == .event {
            world.state.rows[MemoryState.Place(table: Table.event.rawValue, key: change.key)] = nil
        }
        learn(act, reply)
        return done
    }

    /// What the replies tell of the challenges, and of the moments at which something ends.
    private func learn(_ act: Act, _ reply: Reply) {
        let now = world.now
        switch (act, reply) {
        case (.request(let who), .challenge(let m))
        where m.disposition == ChallengeReply.Disposition.created.rawValue:
            let new = Known(m.challenge, who, createdAt: now, expiresAt: m.expiresAtMs)
            for other in known where other.isOpen(now) && other.who.isOneKey(who) { other.isOver = true }
            known.append(new)
            edges += [m.resendAtMs, new.lastMoment, m.expiresAtMs]
        case (_, .challenge(let m)): edges.append(m.resendAtMs)
        case (.verify(let target, _), .verified): target.isOver = true
        case (.verify(let target, _), .refused(let refusal)) where refusal.status == .wrongCode:
            target.wrong += 1
            if refusal.attemptsLeft == 0 { target.isOver = true }
            edges += [now + 60_000, now + RuleBounds.dayMs]
        case (.cancel(let target), .empty): target.isOver = true
        case (_, .refused(let refusal)) where refusal.retryAfterMs > 0:
            edges.append(now + UInt64(refusal.retryAfterMs))
        default: break
        }
        if known.count > 12 { known.removeFirst(known.count - 12) }
        if edges.count > 12 { edges.removeFirst(edges.count - 12) }
    }
}

extension RuleWalk.Who {
    /// Of these one challenge at most is open: the phone is no part of it.
    func isOneKey(_ other: RuleWalk.Who) -> Bool {
        account == other.account && session == other.session && purpose == other.purpose
            && asker == other.asker
    }
}

extension RuleWalk.Act {
    var text: String {
        switch self {
        case .request(let who): "request \(who.text)"
        case .resend(let target): "resend \(target.who.text)"
        case .verify(let target, let isRight): "\(isRight ? "right" : "wrong") code \(target.who.text)"
        case .cancel(let target): "cancel \(target.who.text)"
        case .unblock(let account, let phone): "unblock \(account) \(phone ?? "-")"
        }
    }
}

extension RuleWalk.Who {
    var text: String { "\(account) \(phone.suffix(1)) session \(session) purpose \(purpose) \(asker)" }
}
