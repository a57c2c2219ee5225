import Engine
import Wire

/// Web tiers: what they send, in order and out of it.
extension Simulation {
    func peer(_ kind: Peer.Kind, tenant: UInt32) -> Peer? {
        let open = peers.filter { $0.kind == kind && $0.tenant == tenant && $0.isOpen }
        return open.isEmpty ? nil : draw.pick(open)
    }

    func send(_ call: Call, on peer: Peer, again: Bool = false) {
        let now = machine.engineMs
        var floor = replies.sending(call, now: now)
        if let grant = grants.sending(call) { floor = grant }
        if case .report(let report) = call.ask { delivery.sending(report) }
        if case .receipt(let receipt) = call.ask { delivery.sending(receipt) }
        let correlation = peer.nextCorrelation()
        peer.waiting[correlation] = Attempt(
            call: call, sent: now, floor: floor, write: history.note(write: call, now: now))
        peer.queue(call.ask.encode(correlation))
        sent += 1
        if isTracing { trace("send \(call.ask) by \(call.who)") }
    }

    func remember(_ call: Call) {
        recent.append(call)
        if recent.count > 40 { recent.removeFirst(recent.count - 40) }
    }

    /// 6 bytes of engine time, each used once so that a challenge's id tells its request, and 10 random ones.
    func newID(at time: UInt64) -> Bytes16 {
        var ms = time
        while !usedTimes.insert(ms).inserted { ms += 1 }
        let word = draw.word()
        return Bytes16(timeMs: ms, tailHigh: UInt16(truncatingIfNeeded: word), tailLow: draw.word())
    }

    func session(_ index: Int) -> Bytes32 {
        index < 0
            ? .zero : Bytes32(head: Bytes16(high: 7, low: UInt64(index + 1)), tail: Bytes16(high: 9, low: 1))
    }

    func account(_ index: Int) -> AccountBytes { AccountBytes("account-\(index)") }

    func webMove() {
        let tenant = draw.pick(Simulation.tenants)
        guard let peer = peer(.web, tenant: tenant) else { return }
        if plan.hammers, tenant == 2, draw.chance(700) { return hammer(peer) }
        if plan.presses, tenant == 1, draw.chance(plan.press == .unverified ? 300 : 800) { return press(peer) }
        if plan.payers, tenant == 2, draw.chance(600) { return pay(peer) }
        if plan.strangers, draw.chance(500) { return strange(tenant, peer) }
        switch Move.allCases[draw.weighted(plan.moves)] {
        case .request: request(stranger(tenant), on: peer)
        case .retry: retry(tenant, peer)
        case .conflict: conflict(tenant, peer)
        case .right: verify(right: true, tenant, peer)
        case .wrong: verify(right: false, tenant, peer)
        case .foreign: foreign(tenant, peer)
        case .resend: resend(tenant, peer)
        case .cancel: cancel(tenant, peer)
        case .status: status(tenant, peer)
        case .quota: quota(tenant, peer)
        case .checkGrant: checkGrant(tenant, peer)
        case .redeem: redeem(tenant, peer)
        case .unblock: unblock(tenant)
        case .invalid: invalid(tenant, peer)
        case .ping: send(Call(.ping(Ping()), Who(tenant: tenant)), on: peer)
        }
    }

    private func stranger(_ tenant: UInt32) -> Who {
        let account = draw.below(plan.people)
        return Who(
            tenant: tenant, account: account, phone: draw.chance(850) ? account : draw.below(plan.people),
            session: draw.chance(700) ? account : draw.below(plan.people * 2),
            purpose: draw.chance(700) ? 1 : 2,
            asker: draw.chance(700) ? 1 : UInt8(draw.below(3)))
    }

    func request(_ who: Who, on peer: Peer) {
        var m = RequestCode()
        m.requestID = newID(at: machine.engineMs)
        m.purpose = who.purpose
        m.assurance = who.asker
        m.account = account(who.account)
        m.phone = PhoneBytes(Simulation.phones[who.phone])
        m.session = session(who.session)
        if draw.chance(200) { m.webHost = InlineBytes("shop.example") }
        let call = Call(.requestCode(m), who, id: m.requestID)
        remember(call)
        send(call, on: peer)
    }

    private func retry(_ tenant: UInt32, _ peer: Peer) {
        let own = recent.filter { $0.who.tenant == tenant }
        guard !own.isEmpty else { return }
        tally.add("fault duplicate request")
        let call = draw.pick(own)
        if call.requestID.timeMs + 60_000 < machine.engineMs { tally.add("fault late retry") }
        send(call, on: peer)
    }

    /// The id of another request with other fields.
    private func conflict(_ tenant: UInt32, _ peer: Peer) {
        let own = recent.filter { $0.who.tenant == tenant }
        guard !own.isEmpty else { return }
        let old = draw.pick(own)
        tally.add("fault conflicting retry")
        if let known = old.conflict { return send(known, on: peer) }
        var who = old.who
        let ask: Ask
        switch old.ask {
        // Of a RequestCode that was answered: else it couldn't be told which of the two made the challenge.
        case .requestCode(var m) where old.settled != nil:
            who.phone = (who.phone + 1) % plan.people
            m.phone = PhoneBytes(Simulation.phones[who.phone])
            ask = .requestCode(m)
        case .verify(var m):
            m.code = CodeBytes("\(100_000 + draw.below(900_000))")
            ask = .verify(m)
        case .redeem(var m):
            who.account = (who.account + 1) % plan.people
            m.account = account(who.account)
            ask = .redeem(m)
        default: return
        }
        let call = Call(ask, who, id: old.requestID)
        old.conflict = call
        send(call, on: peer)
    }

    /// One of the newest challenges of a tenant.
    func target(_ tenant: UInt32, _ isFit: (ChallengeHistory) -> Bool = { _ in true })
        -> ChallengeHistory?
    {
        var found: [ChallengeHistory] = []
        for challenge in history.order.reversed() where challenge.who.tenant == tenant && isFit(challenge) {
            found.append(challenge)
            if found.count == 8 { break }
        }
        return found.isEmpty ? nil : draw.pick(found)
    }

    private func verify(right: Bool, _ tenant: UInt32, _ peer: Peer) {
        let fit = right ? target(tenant) { $0.code != nil && $0.floor.ended == 0 } : target(tenant)
        guard let challenge = fit else { return }
        let code = right ? challenge.code ?? "" : wrongCode(challenge)
        // Several clients race with the same guess at times.
        for _ in 0..<(draw.chance(100) ? 3 : 1) {
            guess(challenge, code, on: draw.chance(800) ? peer : self.peer(.web, tenant: tenant) ?? peer)
        }
    }

    func wrongCode(_ challenge: ChallengeHistory) -> String {
        let length = history.policies[challenge.who.tenant]?.purposes[challenge.who.purpose]?.codeLength ?? 6
        while true {
            let code = String((0..<length).map { _ in Character(UnicodeScalar(UInt8(0x32 + draw.below(8)))) })
            if code != challenge.code { return code }
        }
    }

    func guess(_ challenge: ChallengeHistory, _ code: String, on peer: Peer) {
        var m = Verify()
        m.requestID = newID(at: machine.engineMs)
        m.challenge = challenge.id
        m.session = session(challenge.who.session)
        m.code = CodeBytes(code)
        let call = Call(.verify(m), challenge.who, id: m.requestID)
        remember(call)
        send(call, on: peer)
    }

    /// Right in all but the session, the tenant or the challenge itself.
    private func foreign(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(draw.pick(Simulation.tenants)) else { return }
        var who = challenge.who
        who.tenant = tenant
        var m = Verify()
        m.requestID = newID(at: machine.engineMs)
        m.challenge = draw.chance(300) ? draw.bytes16() : challenge.id
        who.session = who.tenant == challenge.who.tenant ? who.session + 1 : who.session
        m.session = session(who.session)
        m.code = CodeBytes(challenge.code ?? "123456")
        if m.challenge == challenge.id, who == challenge.who { return }
        if draw.chance(300) {
            var status = StatusRequest()
            status.challenge = m.challenge
            status.session = m.session
            return send(Call(.status(status), who), on: peer)
        }
        send(Call(.verify(m), who, id: m.requestID), on: peer)
    }

    private func resend(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(tenant) else { return }
        resend(challenge, on: peer)
    }

    private func resend(_ challenge: ChallengeHistory, on peer: Peer) {
        var m = Resend()
        m.requestID = newID(at: machine.engineMs)
        m.challenge = challenge.id
        m.session = session(challenge.who.session)
        let call = Call(.resend(m), challenge.who, id: m.requestID)
        remember(call)
        send(call, on: peer)
    }

    private func cancel(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(tenant) else { return }
        var m = Cancel()
        m.requestID = newID(at: machine.engineMs)
        m.challenge = challenge.id
        m.session = session(challenge.who.session)
        let call = Call(.cancel(m), challenge.who, id: m.requestID)
        remember(call)
        send(call, on: peer)
    }

    private func status(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(tenant) else { return }
        var m = StatusRequest()
        m.challenge = challenge.id
        m.session = session(challenge.who.session)
        send(Call(.status(m), challenge.who), on: peer)
    }

    private func quota(_ tenant: UInt32, _ peer: Peer) {
        let who = stranger(tenant)
        var m = Quota()
        m.purpose = who.purpose
        m.assurance = who.asker
        m.account = account(who.account)
        m.phone = PhoneBytes(Simulation.phones[who.phone])
        m.session = session(who.session)
        send(Call(.quota(m), who), on: peer)
    }

    private func checkGrant(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(tenant, { $0.grant != nil }), let grant = challenge.grant else { return }
        var m = CheckGrant()
        m.grant = grant.grant
        m.purpose = challenge.who.purpose
        m.account = account(challenge.who.account)
        m.session = session(challenge.who.session)
        send(Call(.checkGrant(m), challenge.who), on: peer)
    }

    private func redeem(_ tenant: UInt32, _ peer: Peer) {
        guard let challenge = target(tenant, { $0.grant != nil }), let grant = challenge.grant else { return }
        var who = challenge.who
        if draw.chance(150) { who.account = (who.account + 1) % plan.people }
        if draw.chance(100) { who.session += 1 }
        var token = grant.grant
        if draw.chance(50) { token.tail.low ^= 1 }
        redeem(token, who, on: draw.chance(150) ? self.peer(.narrow, tenant: tenant) ?? peer : peer)
    }

    private func redeem(_ grant: Bytes32, _ who: Who, on peer: Peer) {
        var m = RedeemGrant()
        m.requestID = newID(at: machine.engineMs)
        m.grant = grant
        m.purpose = who.purpose
        m.account = account(who.account)
        m.session = session(who.session)
        let call = Call(.redeem(m), who, id: m.requestID)
        if peer.kind != .narrow { remember(call) }
        send(call, on: peer)
    }

    /// Requests that are wrong in one way each.
    private func invalid(_ tenant: UInt32, _ peer: Peer) {
        var who = stranger(tenant)
        var m = RequestCode()
        m.requestID = newID(at: machine.engineMs)
        m.purpose = who.purpose
        m.assurance = who.asker
        m.account = account(who.account)
        m.phone = PhoneBytes(Simulation.phones[who.phone])
        m.session = session(who.session)
        switch draw.below(11) {
        case 0: m.channel = 9
        case 1:
            m.purpose = 77
            who.purpose = 77
        case 2:
            m.account = AccountBytes()
            who.account = -1
        case 3:
            m.phone = PhoneBytes("0612345678")
            who.phone = -1
        case 4:
            m.session = .zero
            who.session = -1
        case 5: m.requestID = newID(at: machine.engineMs - 700_000)
        case 6: m.requestID = newID(at: machine.engineMs + 700_000)
        case 7: return send(Call(.raw(0x7777, [1, 2, 3]), who), on: peer)
        case 8: m.assurance = 7
        case 9:
            guard let challenge = target(tenant) else { return }
            return guess(challenge, "12", on: peer)
        default:
            var subscribe = Subscribe()
            subscribe.start = Subscribe.Start.afterCursor.rawValue
            subscribe.cursor = Cursor(epoch: 1, sequence: 1 << 40, index: 3)
            return send(Call(.subscribe(subscribe), who), on: peer)
        }
        send(Call(.requestCode(m), who, id: m.requestID), on: peer)
    }

    // MARK: at the edge

    func resendAtEdge(_ challenge: ChallengeHistory) {
        guard let peer = peer(.web, tenant: challenge.who.tenant) else { return }
        resend(challenge, on: peer)
    }

    func requestAtEdge(_ who: Who) {
        guard let peer = peer(.web, tenant: who.tenant) else { return }
        request(who, on: peer)
    }

    func guessAtEdge(_ challenge: ChallengeHistory) {
        guard let peer = peer(.web, tenant: challenge.who.tenant), let code = challenge.code else { return }
        guess(challenge, code, on: peer)
    }

    func redeemAtEdge(_ grant: Bytes32) {
        guard let challenge = history.challenge(of: grant),
            let peer = peer(.web, tenant: challenge.who.tenant)
        else { return }
        redeem(grant, challenge.who, on: peer)
    }

    /// The same bytes; the id may be too old by then.
    func sendAgain(_ call: Call) {
        var kind = Peer.Kind.web
        if case .unblock = call.ask { kind = .support }
        guard let peer = peer(kind, tenant: call.who.tenant) else { return }
        if case .requestCode = call.ask, call.settled == nil,
            call.requestID.timeMs + 660_000 < machine.engineMs
        {
            return request(call.who, on: peer)
        }
        send(call, on: peer)
    }
}
