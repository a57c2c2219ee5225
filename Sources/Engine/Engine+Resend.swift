import Wire

/// Resend: one more message of an open challenge. The same code, life and attempts (P3).
extension Engine {
    func resend<S: State>(_ m: Resend, _ caller: Caller, _ context: BatchContext, _ state: inout S) -> Reply {
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        guard var challenge = readChallenge(m.challenge, &state), isValid(challenge, caller, context),
            challenge.state != .alias, challenge.session == m.session
        else { return .refused(.challengeNotOpen) }
        act(as: challenge.asker)
        let digest = digest(m, caller)
        let tag = tag(m.requestID, caller.tenant)
        if let verdict = challenge.verdicts.find(tag) {
            guard verdict.digest == digest.high else { return .refused(.requestIdConflict) }
            return reply(challenge, m.challenge, .resent, resendAt: resendAt(challenge, context.now, &state))
        }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(challenge.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        // First of all, as in Verify: a challenge that is over answers like an unknown one, blocked or not.
        guard challenge.state == .open, challenge.expiresAt > context.now, isEnough(challenge, purpose) else {
            return .refused(.challengeNotOpen)
        }
        let asker = asker(tenant, purpose, challenge.account, challenge.phone, challenge.asker)
        if let refusal = blocked(challenge.account, challenge.phone, asker, context, &state) {
            return .refused(refusal)
        }
        let phone = readPhone(asker.phoneIndex, &state)
        let account = readAccount(asker.accountIndex, &state)
        let (check, isSame) = sendCheck(challenge, m.challenge, phone, account, asker, context.now)
        // What another challenge alone could send, or what comes when these bytes are too old, is no matter
        // of waiting.
        guard isSame, check.passes || isInTime(m.requestID, context.now + check.retryAfterMs) else {
            return .refused(.startAnew, check.limit, retryAfterMs: check.retryAfterMs)
        }
        guard check.passes else { return .refused(.limited, check.limit, retryAfterMs: check.retryAfterMs) }
        resend(&challenge, m.challenge, check, m.requestID, phone, account, asker, context, &state)
        challenge.verdicts.append(Verdict(tag: tag, digest: digest.high, status: Status.done.rawValue))
        write(challenge, m.challenge, &state)
        return reply(challenge, m.challenge, .resent, resendAt: challenge.resendAt)
    }

    /// One more message, whose limits have passed: debits, queues it and updates `challenge`, which the
    /// caller writes.
    func resend<S: State>(
        _ challenge: inout ChallengeRecord, _ id: Bytes16, _ check: LimitCheck, _ requestID: Bytes16,
        _ phone: consuming PhoneRecord,
        _ account: consuming AccountRecord, _ asker: Asker, _ context: BatchContext, _ state: inout S
    ) {
        let now = context.now
        killMessages(challenge, id, &state)
        debit(&phone, &account, asker, now)
        challenge.sends += 1
        challenge.delivery = StatusRequest.Delivery.queued.rawValue
        challenge.resendAt =
            now + nextGap(asker.purpose, unverified: phone.classes[asker.index].sends.unverified)
        write(phone, asker.phoneIndex, now, &state)
        write(account, asker.accountIndex, of: challenge.tenant, challenge.account, now, &state)
        queueMessage(challenge, id, asker.purpose.priority, now, &state)
        let (tenant, purpose, subject) = (challenge.tenant, challenge.purpose, account.subject)
        tellShadows(check, purpose, id, subject, tenant, requestID, context, &state)
        emit(.codeResent, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = id
            event.subject = subject
        }
    }
}
