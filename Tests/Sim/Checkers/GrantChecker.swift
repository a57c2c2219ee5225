import Wire

/// A grant opens what its challenge was for, once, in its time.
struct GrantChecker {
    let history: History

    func received(_ answer: Answer, to attempt: Attempt, now: UInt64) {
        let call = attempt.call
        switch (call.ask, answer) {
        case (.redeem(let m), .grant(let reply)): redeemed(m.grant, reply, call, attempt, now)
        case (.checkGrant(let m), .grant(let reply)): checked(m.grant, reply, call, attempt)
        case (.redeem(let m), .refused(let refusal)) where refusal.status == .grantInvalid:
            refused(m, call, attempt, now)
        default: break
        }
    }

    private func say(_ text: String, _ call: Call) {
        history.violation("\(text) [request \(call.requestID)]")
    }

    private func match(_ grant: Bytes32, _ reply: GrantReply, _ call: Call, _ what: String)
        -> ChallengeHistory?
    {
        guard let challenge = history.challenges[reply.challenge] else {
            say("\(what) a grant of a challenge that nobody asked for", call)
            return nil
        }
        if challenge.grant?.grant != grant { say("\(what) a grant that Verify never handed out", call) }
        if challenge.who.account != call.who.account || challenge.who.session != call.who.session
            || challenge.who.tenant != call.who.tenant || challenge.who.purpose != call.who.purpose
        {
            say("\(what) somebody else's grant", call)
        }
        return challenge
    }

    private func redeemed(
        _ grant: Bytes32, _ reply: GrantReply, _ call: Call, _ attempt: Attempt, _ now: UInt64
    ) {
        guard let challenge = match(grant, reply, call, "redeemed") else { return }
        if let first = challenge.redeemed, first !== call {
            say("a grant was redeemed twice, first by request \(first.requestID)", call)
        }
        if call.firstSent >= reply.expiresAtMs { say("a grant was redeemed after its end", call) }
        if challenge.mustBeVoid { say("a grant was redeemed that the clock made void", call) }
        challenge.redeemed = call
    }

    private func checked(_ grant: Bytes32, _ reply: GrantReply, _ call: Call, _ attempt: Attempt) {
        guard let challenge = match(grant, reply, call, "CheckGrant passed") else { return }
        // `floor` isn't kept for grants: what is noted at sending is whether it was redeemed then.
        if attempt.floor?.ended == GrantChecker.spent {
            say("CheckGrant passed a grant that was redeemed", call)
        }
        if attempt.sent >= reply.expiresAtMs { say("CheckGrant passed a grant after its end", call) }
        if challenge.mustBeVoid { say("CheckGrant passed a void grant", call) }
    }

    private func refused(_ m: RedeemGrant, _ call: Call, _ attempt: Attempt, _ now: UInt64) {
        guard let challenge = history.challenge(of: m.grant), let grant = challenge.grant
        else { return }
        let fits =
            challenge.who.account == call.who.account && challenge.who.session == call.who.session
            && challenge.who.tenant == call.who.tenant && challenge.who.purpose == call.who.purpose
        if fits, challenge.redeemed == nil, challenge.redeemers == 1, now < grant.expiresAtMs,
            !challenge.mayBeVoid
        {
            say("a good grant of \(challenge.id), redeemed by nobody, was refused", call)
        }
    }

    static let spent: UInt8 = 200

    /// What is known of a grant when a request on it leaves.
    func sending(_ call: Call) -> ChallengeFloor? {
        let grant: Bytes32
        switch call.ask {
        case .redeem(let m): grant = m.grant
        case .checkGrant(let m): grant = m.grant
        default: return nil
        }
        guard let challenge = history.challenge(of: grant) else { return nil }
        if case .redeem = call.ask, call.sends == 1 { challenge.redeemers += 1 }
        var floor = ChallengeFloor()
        floor.ended = challenge.redeemed == nil ? 0 : GrantChecker.spent
        return floor
    }
}
