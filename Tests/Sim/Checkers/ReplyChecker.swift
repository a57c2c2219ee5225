import Wire

/// Judges each reply against what was sent and answered before: P1, P2, P3, P5 as a client sees them.
struct ReplyChecker {
    let history: History

    /// What is known when a request leaves.
    func sending(_ call: Call, now: UInt64) -> ChallengeFloor? {
        let isFirst = call.sends == 0
        call.sends += 1
        call.firstSent = min(call.firstSent, now)
        switch call.ask {
        case .requestCode:
            history.note(origin: call, now: now)
            for open in history.order where supersedes(call, open.who) { open.possibleEnds += 1 }
            for open in history.order where renews(call, open.who) { open.renewals += 1 }
            return nil
        case .verify(let m):
            guard let challenge = history.challenges[m.challenge] else { return nil }
            guard fits(challenge, call) else { return challenge.floor }
            if isFirst {
                challenge.guesses += 1
                call.firstFloor = challenge.floor
            }
            if challenge.code == nil || challenge.code == m.code.text.uppercased() {
                challenge.possibleEnds += 1
            }
            return challenge.floor
        case .cancel(let m):
            guard let challenge = history.challenges[m.challenge] else { return nil }
            if fits(challenge, call) { challenge.possibleEnds += 1 }
            return challenge.floor
        case .resend(let m):
            let floor = history.challenges[m.challenge]?.floor
            if isFirst { call.firstFloor = floor }
            return floor
        case .status(let m): return history.challenges[m.challenge]?.floor
        case .hello, .ping, .quota, .checkGrant, .redeem, .unblock, .lease, .report, .receipt, .subscribe,
            .acknowledge, .stats, .raw:
            return nil
        }
    }

    /// Another phone in the same session and class closes the former challenge. Another class never does.
    private func supersedes(_ call: Call, _ who: Who) -> Bool {
        call.who.isOneKey(who) && call.who.phone != who.phone
    }

    /// The same again: near the end of the open challenge it opens another.
    private func renews(_ call: Call, _ who: Who) -> Bool { call.who == who }

    /// `now`: engine time at which the reply came.
    func received(_ answer: Answer, to attempt: Attempt, now: UInt64) {
        let call = attempt.call
        let isRepeat = call.settled != nil
        call.answers += 1
        call.answeredAt = now
        if let write = attempt.write { history.note(answerTo: write, now: now) }
        if case .refused(let refusal) = answer, let status = refusal.status {
            if LedgerChecker.told.contains(status) { history.note(refusal: refusal, of: attempt, now: now) }
            checkWait(refusal, status, call, attempt, answer)
        }
        checkAssurance(answer, call)
        checkRetry(answer, call, attempt, now)
        checkRepeated(answer, call, attempt, isRepeat: isRepeat)
        switch call.ask {
        case .requestCode: requestCode(answer, call, now, isRepeat: isRepeat)
        case .verify(let m): verify(answer, m, call, attempt, now)
        case .resend(let m): resend(answer, m, call, attempt, now, isRepeat: isRepeat)
        case .cancel(let m): cancel(answer, m, call, attempt, now)
        case .status(let m): status(answer, m, call, attempt, now)
        case .hello, .ping, .quota, .checkGrant, .redeem, .unblock, .lease, .report, .receipt, .subscribe,
            .acknowledge, .stats, .raw:
            break
        }
    }

    func say(_ text: String, _ call: Call, _ answer: Answer) {
        history.violation("\(text) [request \(call.requestID), answer \(describe(answer))]")
    }

    // MARK: retries (P5)

    /// Same id, same request: the same outcome. Only its age, the server's state or a void challenge excuse another.
    private func checkRetry(_ answer: Answer, _ call: Call, _ attempt: Attempt, _ now: UInt64) {
        guard let settled = call.settled else {
            if isBinding(answer) { (call.settled, call.settledAt) = (answer, now) }
            return
        }
        if case .refused(let refusal) = answer, let status = refusal.status {
            switch status {
            case .overloaded, .draining, .unknown: return
            case .limited where refusal.limit == .requestRate: return
            // It may have been decided before the one that passed, and come later: limits aren't remembered.
            case .limited, .blocked, .factorDisabled, .startAnew: if attempt.sent <= call.settledAt { return }
            case .requestTooOld where call.requestID.timeMs + 660_000 < now: return
            case .challengeNotOpen where isGone(call, now): return
            case .grantInvalid where isGone(call, now): return
            default: break
            }
        }
        switch (settled, answer) {
        case (.challenge(let a), .challenge(let b)):
            if a.challenge != b.challenge || a.disposition != b.disposition {
                say(
                    "a retry of RequestCode or Resend got another outcome than \(describe(settled))", call,
                    answer)
            }
        case (.verified(let a), .verified(let b)):
            if a.grant != b.grant || a.expiresAtMs != b.expiresAtMs {
                say("a retried Verify got another grant", call, answer)
            }
        case (.verified(let a), .refused(let b)) where b.status == .alreadyVerified:
            let verifiedAt = a.expiresAtMs - purpose(call).grantMs
            if now < verifiedAt + 30_000 {
                say("alreadyVerified within 30 s of the right code", call, answer)
            }
        case (.refused(let a), .refused(let b)) where a.status == .wrongCode && b.status == .wrongCode:
            if a.attemptsLeft != b.attemptsLeft {
                say("a retried wrong code told other attempts left", call, answer)
            }
        case (.grant(let a), .grant(let b)):
            if a.verifiedAtMs != b.verifiedAtMs || a.challenge != b.challenge {
                say("a retried RedeemGrant got another grant", call, answer)
            }
        case (.grant(let a), .refused(let b)) where b.status == .grantInvalid:
            if now < a.expiresAtMs + 660_000 { say("a retried RedeemGrant was refused", call, answer) }
        case (.empty, .empty): break
        default: say("a retry was answered otherwise than at first: \(describe(settled))", call, answer)
        }
    }

    /// What was given up may be found submitted later, and the network may give up what was; whatever was delivered stays so.
    private func rank(_ delivery: UInt8) -> UInt8 {
        switch StatusRequest.Delivery(rawValue: delivery) {
        case .queued, nil: 0
        case .submitted, .failed: 1
        case .delivered: 2
        }
    }

    private func isBinding(_ answer: Answer) -> Bool {
        switch answer {
        case .challenge, .verified, .grant, .empty: true
        case .refused(let refusal): refusal.status == .wrongCode
        case .hello, .ping, .status, .quota, .lease, .subscribed: false
        }
    }

    /// Void by a clock that went back, or its record's time is over.
    private func isGone(_ call: Call, _ now: UInt64) -> Bool {
        let id: Bytes16
        switch (call.ask, call.settled) {
        case (.requestCode, .challenge(let reply)?): id = reply.challenge
        case (.resend(let m), _): id = m.challenge
        case (.verify(let m), _): id = m.challenge
        case (.cancel(let m), _): id = m.challenge
        case (.redeem, .grant(let reply)?): return history.challenges[reply.challenge]?.mayBeVoid ?? true
        default: return false
        }
        return isOver(id, now) || history.challenges[id]?.mayBeVoid ?? true
    }

    /// A challenge's record is kept for 660 s of request age, the longest life and a minute.
    private func isOver(_ id: Bytes16, _ now: UInt64) -> Bool { id.timeMs + 1_320_000 <= now }

    func purpose(_ call: Call) -> SimPurpose {
        history.policies[call.who.tenant]?.purposes[call.who.purpose] ?? SimPurpose()
    }

    // MARK: each kind

    private func requestCode(_ answer: Answer, _ call: Call, _ now: UInt64, isRepeat: Bool) {
        guard case .challenge(let reply) = answer,
            let challenge = history.challenge(reply.challenge, seenIn: "Challenge reply")
        else { return }
        if reply.disposition == 3, !isRepeat { challenge.resends += 1 }
        if reply.disposition == 1, challenge.origin !== call {
            say("created a challenge that another request made", call, answer)
        }
        if challenge.who.account != call.who.account || challenge.who.phone != call.who.phone
            || challenge.who.session != call.who.session || challenge.who.tenant != call.who.tenant
            || challenge.who.purpose != call.who.purpose || challenge.who.asker != call.who.asker
        {
            say("\(call.who) was given a challenge of \(challenge.who)", call, answer)
        }
        learn(challenge, reply)
    }

    private func learn(_ challenge: ChallengeHistory, _ reply: ChallengeReply) {
        let rules = history.policies[challenge.who.tenant]?.purposes[challenge.who.purpose] ?? SimPurpose()
        if challenge.expiresAt != 0, challenge.expiresAt != reply.expiresAtMs {
            history.violation(
                "challenge \(challenge.id) changed its end from \(challenge.expiresAt) to \(reply.expiresAtMs)"
            )
        }
        challenge.expiresAt = reply.expiresAtMs
        challenge.attemptCap = UInt8(rules.attempts)
        if !challenge.isAcknowledged {
            // Sent before anybody knew this challenge, they may have come after it.
            let since = history.requests(since: challenge.origin.firstSent)
            challenge.possibleEnds += since.count { supersedes($0, challenge.who) }
            challenge.renewals += since.count { $0 !== challenge.origin && renews($0, challenge.who) }
        }
        challenge.isAcknowledged = true
        challenge.floor.attemptsLeft = min(challenge.floor.attemptsLeft, reply.attemptsLeft)
        if reply.sendsLeft < challenge.floor.sendsLeft {
            challenge.floor.sendsLeft = reply.sendsLeft
            challenge.floor.delivery = 0
        }
    }

    /// Whether "not open" can be the truth at `now`.
    private func mayBeOver(_ challenge: ChallengeHistory, _ now: UInt64) -> Bool {
        challenge.possibleEnds > 0 || challenge.floor.ended != 0 || now >= challenge.expiresAt
            || challenge.mayBeVoid
            || challenge.guesses >= Int(challenge.attemptCap)
            || (challenge.renewals > 0 && now > rules(challenge).lastMoment(challenge.expiresAt))
    }

    private func rules(_ challenge: ChallengeHistory) -> SimPurpose {
        history.policies[challenge.who.tenant]?.purposes[challenge.who.purpose] ?? SimPurpose()
    }

    private func fits(_ challenge: ChallengeHistory, _ call: Call) -> Bool {
        challenge.who.tenant == call.who.tenant && challenge.who.session == call.who.session
    }

    private func verify(_ answer: Answer, _ m: Verify, _ call: Call, _ attempt: Attempt, _ now: UInt64) {
        guard let challenge = history.challenges[m.challenge] else {
            if case .verified = answer { say("verified a challenge that nobody asked for", call, answer) }
            return
        }
        switch answer {
        case .verified(let reply): accepted(reply, answer, m, call, challenge, attempt, now)
        case .refused(let refusal) where refusal.status == .wrongCode:
            wrong(refusal, answer, m, call, challenge, attempt)
        case .refused(let refusal) where refusal.status == .challengeNotOpen:
            if fits(challenge, call), challenge.isAcknowledged, !mayBeOver(challenge, now) {
                say(
                    "an acknowledged, open challenge \(challenge.id) was not found (end \(challenge.expiresAt), now \(now))",
                    call, answer)
            }
        default: break
        }
    }

    private func accepted(
        _ reply: Verify.Reply, _ answer: Answer, _ m: Verify, _ call: Call, _ challenge: ChallengeHistory,
        _ attempt: Attempt, _ now: UInt64
    ) {
        let verifiedAt = reply.expiresAtMs - purpose(call).grantMs
        if !fits(challenge, call) { say("a code passed for another session or tenant", call, answer) }
        if let code = challenge.code, code != m.code.text.uppercased() {
            say("a wrong code passed", call, answer)
        }
        if let first = challenge.accepted, first !== call {
            say(
                "accepted twice: challenge \(challenge.id), first by request \(first.requestID)", call, answer
            )
        }
        if let grant = challenge.grant, grant.grant != reply.grant {
            say("a second grant of challenge \(challenge.id)", call, answer)
        }
        if challenge.expiresAt != 0, verifiedAt >= challenge.expiresAt {
            say("accepted late: at \(verifiedAt), the end was \(challenge.expiresAt)", call, answer)
        }
        if verifiedAt < call.firstSent || verifiedAt > now {
            say("accepted at \(verifiedAt), sent at \(call.firstSent)", call, answer)
        }
        if attempt.sent >= verifiedAt + 30_000 {
            say("a grant was handed out again after 30 s", call, answer)
        }
        if challenge.mustBeVoid { say("accepted on a challenge that the clock made void", call, answer) }
        let ended = call.firstFloor?.ended ?? 0
        if challenge.accepted == nil, ended != 0 {
            say("accepted after its end (state \(ended)) was answered", call, answer)
        }
        if challenge.attemptCap > 0, challenge.wrong.count >= Int(challenge.attemptCap) {
            say("accepted past its attempts", call, answer)
        }
        challenge.accepted = call
        challenge.grant = reply
        history.note(grant: reply.grant, of: challenge)
        challenge.floor.ended = StatusRequest.State.verified.rawValue
    }

    private func wrong(
        _ refusal: Refusal, _ answer: Answer, _ m: Verify, _ call: Call, _ challenge: ChallengeHistory,
        _ attempt: Attempt
    ) {
        let left = refusal.attemptsLeft
        if challenge.code == m.code.text.uppercased(), challenge.code != nil, fits(challenge, call) {
            say("the right code was called wrong", call, answer)
        }
        if let other = challenge.wrong[left], other !== call {
            say("two guesses (\(other.requestID)) were answered with the same attempts left", call, answer)
        }
        let isNew = challenge.wrong[left] == nil
        challenge.wrong[left] = call
        let cap = purpose(call).attempts
        if Int(left) >= cap { say("more attempts left than the cap of \(cap) allows", call, answer) }
        if challenge.wrong.count > cap { say("more than \(cap) guesses were evaluated", call, answer) }
        if isNew {
            if let floor = call.firstFloor, left >= floor.attemptsLeft {
                say(
                    "attempts were given back: \(floor.attemptsLeft) were left when it was sent", call, answer
                )
            }
            if let ended = call.firstFloor?.ended, ended != 0 {
                say("a guess was evaluated after the end (state \(ended))", call, answer)
            }
            if challenge.mustBeVoid { say("a guess was evaluated on a void challenge", call, answer) }
        }
        challenge.floor.attemptsLeft = min(challenge.floor.attemptsLeft, left)
        if left == 0 {
            challenge.floor.ended = max(challenge.floor.ended, StatusRequest.State.exhausted.rawValue)
        }
    }

    private func resend(
        _ answer: Answer, _ m: Resend, _ call: Call, _ attempt: Attempt, _ now: UInt64, isRepeat: Bool
    ) {
        guard let challenge = history.challenges[m.challenge] else { return }
        switch answer {
        case .challenge(let reply):
            if reply.challenge != m.challenge { say("a Resend of another challenge", call, answer) }
            if !isRepeat, let ended = call.firstFloor?.ended, ended != 0 {
                say("a Resend after the end (state \(ended))", call, answer)
            }
            if let floor = attempt.floor, reply.attemptsLeft > floor.attemptsLeft {
                say("a Resend gave attempts back (\(floor.attemptsLeft) were left)", call, answer)
            }
            if !isRepeat { challenge.resends += 1 }
            learn(challenge, reply)
        case .refused(let refusal) where refusal.status == .challengeNotOpen:
            if fits(challenge, call), challenge.isAcknowledged, !mayBeOver(challenge, now) {
                say("an acknowledged, open challenge \(challenge.id) was not found", call, answer)
            }
        default: break
        }
    }

    private func cancel(_ answer: Answer, _ m: Cancel, _ call: Call, _ attempt: Attempt, _ now: UInt64) {
        guard let challenge = history.challenges[m.challenge], case .empty = answer else { return }
        if !fits(challenge, call) { say("cancelled from another session or tenant", call, answer) }
        if challenge.accepted != nil, (attempt.floor?.ended ?? 0) == StatusRequest.State.verified.rawValue {
            say("cancelled after it was verified", call, answer)
        }
        if challenge.floor.ended == 0 { challenge.floor.ended = StatusRequest.State.cancelled.rawValue }
    }

    private func status(_ answer: Answer, _ m: StatusRequest, _ call: Call, _ attempt: Attempt, _ now: UInt64)
    {
        guard let challenge = history.challenges[m.challenge] else { return }
        guard case .status(let reply) = answer else {
            if case .refused(let refusal) = answer, refusal.status == .challengeNotOpen,
                fits(challenge, call),
                challenge.isAcknowledged, !challenge.mayBeVoid, !isOver(challenge.id, now)
            {
                say("an acknowledged challenge \(challenge.id) was not found", call, answer)
            }
            return
        }
        if !fits(challenge, call) { return say("told the status to another session or tenant", call, answer) }
        if challenge.mustBeVoid { say("told the status of a void challenge", call, answer) }
        if let floor = attempt.floor {
            if floor.ended != 0, reply.state != floor.ended {
                say("state \(reply.state) after \(floor.ended) was answered", call, answer)
            }
            if reply.attemptsLeft > floor.attemptsLeft {
                say("attempts were given back (\(floor.attemptsLeft) left)", call, answer)
            }
            if reply.sendsLeft > floor.sendsLeft {
                say("sends were given back (\(floor.sendsLeft) left)", call, answer)
            }
            if reply.sendsLeft == floor.sendsLeft, rank(reply.delivery) < floor.delivery {
                say("delivery went back from rank \(floor.delivery)", call, answer)
            }
        }
        let open = StatusRequest.State.open.rawValue
        let expired = StatusRequest.State.expired.rawValue
        if reply.state == open, attempt.sent >= reply.expiresAtMs { say("open after its end", call, answer) }
        if reply.state == expired, now < reply.expiresAtMs { say("expired before its end", call, answer) }
        challenge.expiresAt = reply.expiresAtMs
        if challenge.attemptCap == 0 { challenge.attemptCap = UInt8(purpose(call).attempts) }
        challenge.isAcknowledged = true
        if reply.state != open, challenge.floor.ended == 0 { challenge.floor.ended = reply.state }
        challenge.floor.attemptsLeft = min(challenge.floor.attemptsLeft, reply.attemptsLeft)
        if reply.sendsLeft < challenge.floor.sendsLeft {
            challenge.floor.sendsLeft = reply.sendsLeft
            challenge.floor.delivery = rank(reply.delivery)
        } else if reply.sendsLeft == challenge.floor.sendsLeft {
            challenge.floor.delivery = max(challenge.floor.delivery, rank(reply.delivery))
        }
    }
}
