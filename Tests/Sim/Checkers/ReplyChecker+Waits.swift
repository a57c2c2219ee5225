import Wire

/// What a single answer may say of waits, of its class, and of being told again.
extension ReplyChecker {
    /// A wait that these bytes can't live through isn't told as one of theirs: `startAnew` is for that. What
    /// the rate of requests refuses wasn't looked at.
    func checkWait(
        _ refusal: Refusal, _ status: Status, _ call: Call, _ attempt: Attempt, _ answer: Answer
    ) {
        if status == .undeliverable { say("a status that nothing is answered with any more", call, answer) }
        let isPayment = purpose(call).isPayment
        if status == .blocked, refusal.limit != .failureStreak,
            !(refusal.limit == .paymentStreak && isPayment)
        {
            say("blocked by no block", call, answer)
        }
        let hasWait = refusal.retryAfterMs > 0
        if status == .blocked || status == .limited, !hasWait { say("a wait without an end", call, answer) }
        if status == .factorDisabled, hasWait {
            say("a class that is off comes back by waiting", call, answer)
        }
        guard status == .limited, refusal.limit != .requestRate else { return }
        let earliest = attempt.sent + UInt64(refusal.retryAfterMs)
        let end: UInt64?
        switch call.ask {
        case .requestCode: end = call.requestID.timeMs + 660_000
        case .resend(let m):
            end = lastMoment(m.challenge, call).map { min($0, call.requestID.timeMs + 660_000) }
        case .verify(let m):
            end = history.challenges[m.challenge].map { min($0.expiresAt, call.requestID.timeMs + 660_000) }
        case .hello, .ping, .cancel, .status, .quota, .checkGrant, .redeem, .unblock, .lease, .report,
            .receipt,
            .subscribe, .acknowledge, .stats, .raw:
            end = nil
        }
        if let end, end > 0, earliest > end {
            say("told to wait until \(earliest) at least, and was over at \(end)", call, answer)
        }
    }

    private func lastMoment(_ id: Bytes16, _ call: Call) -> UInt64? {
        guard let challenge = history.challenges[id], challenge.expiresAt > 0 else { return nil }
        return purpose(call).lastMoment(challenge.expiresAt)
    }

    /// Whoever has proved nothing gets nowhere with a payment.
    func checkAssurance(_ answer: Answer, _ call: Call) {
        guard purpose(call).isPayment, call.who.asker == 0 else { return }
        switch (call.ask, answer) {
        case (.requestCode, .challenge), (.quota, .quota):
            say("a payment without a first factor", call, answer)
        default: return
        }
    }

    /// Whoever acts on a right code or a spent grant is told which answer is the first.
    func checkRepeated(_ answer: Answer, _ call: Call, _ attempt: Attempt, isRepeat: Bool) {
        let repeated: UInt8?
        switch answer {
        case .verified(let reply): repeated = reply.repeated
        case .grant(let reply): repeated = reply.repeated
        default: return
        }
        if case .checkGrant = call.ask {
            if repeated != nil { say("CheckGrant is told again", call, answer) }
            return
        }
        if repeated != nil, repeated != 1 { say("told again \(repeated ?? 0) times", call, answer) }
        if repeated == 1, call.sends == 1 { say("told again at the first time", call, answer) }
        if repeated == nil, isRepeat, attempt.sent > call.settledAt {
            say("told again as if it acted again", call, answer)
        }
        if repeated == nil, call.wasFirst { say("two answers say that they are the first", call, answer) }
        if repeated == nil { call.wasFirst = true }
    }
}
