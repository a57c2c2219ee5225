import Engine
import Wire

/// Those who don't stop: at the limits of one account, with wrong codes, on other people's accounts; and
/// support, which ends what they began.
extension Simulation {
    /// One account asks and asks, at times with a second phone, or several on one phone do; some type a code
    /// now and then.
    func press(_ peer: Peer) {
        var who = Who(tenant: 1, account: 14, phone: 14, session: 50 + draw.below(4), purpose: 1, asker: 1)
        switch plan.press {
        case .unverified: if draw.chance(200) { who.phone = draw.between(12, 16) }
        case .verified: who.phone = draw.between(12, 14)
        case .accounts: if draw.chance(600) { who.account = draw.between(12, draw.chance(50) ? 17 : 16) }
        }
        if draw.chance(plan.press == .unverified ? 30 : 700),
            let open = target(1, { $0.isPressed && $0.code != nil && $0.floor.ended == 0 })
        {
            return guess(open, open.code ?? "", on: peer)
        }
        request(who, on: peer)
    }

    /// Guesses at one account without end.
    func hammer(_ peer: Peer) {
        let who = Who(tenant: 2, account: 15, phone: 15, session: 40, purpose: 3, asker: plan.hammerClass)
        if let open = target(
            2, { $0.who == who && $0.floor.ended == 0 && $0.expiresAt > machine.engineMs && $0.guesses < 5 })
        {
            return guess(open, wrongCode(open), on: peer)
        }
        request(who, on: peer)
    }

    /// Wrong payment codes on one account, by both classes that may pay and on two phones; log-ins between
    /// them change nothing.
    func pay(_ peer: Peer) {
        if let open = target(
            2,
            {
                $0.who.account == 13 && $0.floor.ended == 0 && $0.expiresAt > machine.engineMs
                    && $0.guesses < 5
            }), draw.chance(800)
        {
            if draw.chance(60), let code = open.code { return guess(open, code, on: peer) }
            return guess(open, wrongCode(open), on: peer)
        }
        let who = Who(
            tenant: 2, account: 13, phone: draw.between(12, 13), session: 60 + draw.below(3),
            purpose: draw.chance(800) ? 2 : 1, asker: UInt8(draw.between(1, 2)))
        request(who, on: peer)
    }

    /// Somebody who has proved nothing, on accounts and phones of others; at times more than a minute's
    /// requests at once.
    func strange(_ tenant: UInt32, _ peer: Peer) {
        let victim = draw.chance(600) ? 0 : draw.below(plan.people)
        let who = Who(
            tenant: tenant, account: victim, phone: victim, session: 70 + draw.below(3),
            purpose: draw.chance(950) ? 1 : 2,
            asker: 0)
        if draw.chance(30) {
            tally.add("fault flood of anonymous requests")
            for _ in 0..<62 { request(who, on: peer) }
            return
        }
        if let open = target(
            tenant,
            { $0.who.asker == 0 && $0.floor.ended == 0 && $0.expiresAt > machine.engineMs && $0.guesses < 5 }),
            draw.chance(700)
        {
            return guess(open, wrongCode(open), on: peer)
        }
        request(who, on: peer)
    }

    /// Support ends an account's blocks: mostly of those that are pressed.
    func unblock(_ tenant: UInt32) {
        guard let peer = peer(.support, tenant: tenant) else { return }
        let pressed = tenant == 2 && draw.chance(500)
        var who = Who(tenant: tenant, account: pressed ? draw.pick([13, 15]) : draw.below(plan.people))
        if draw.chance(700) { who.phone = who.account }
        let reason = "unblock \(history.unblocks.count + 1)"
        var m = Unblock()
        m.requestID = newID(at: machine.engineMs)
        m.account = account(who.account)
        m.phone = PhoneBytes(who.phone < 0 ? "" : Simulation.phones[who.phone])
        m.actor = InlineBytes("support-\(tenant)")
        m.reason = InlineBytes(reason)
        let call = Call(.unblock(m), who, id: m.requestID)
        history.note(unblock: call, reason: reason)
        for _ in 0..<(draw.chance(200) ? 2 : 1) { send(call, on: peer) }
    }
}

extension ChallengeHistory {
    /// Of somebody who presses.
    var isPressed: Bool { who.isPressing }
}

extension Who {
    /// Nobody else is of these accounts and this tenant.
    var isPressing: Bool { tenant == 1 && (12...17).contains(account) }
}
