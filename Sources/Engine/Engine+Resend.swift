import Wire

/// Resend: one more message of an open challenge. The same code, life and attempts (P3).
extension Engine {
    func resend<S: State>(_ m: Resend, _ caller: Caller, _ context: BatchContext, _ state: inout S) -> Reply {
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        guard var challenge = readChallenge(m.challenge, &state), isValid(challenge, caller, context),
            challenge.state != .alias, challenge.session == m.session
        else { return .refused(.challengeNotOpen) }
        let digest = digest(m, caller)
        let tag = tag(m.requestID, caller.tenant)
        if let verdict = challenge.verdicts.find(tag) {
            guard verdict.digest == digest.high else { return .refused(.requestIdConflict) }
            return reply(challenge, m.challenge, .resent)
        }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(challenge.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        let streak = readStreak(streakIndex(tenant.number, challenge.account, challenge.phone), &state)
        if streak.total >= purpose.streak.disableAfter { return .refused(.factorDisabled) }
        let until = streak.blockedUntil[Int(challenge.asker)]
        if until > context.now, purpose.streak.scope.stopsRequestCode {
            return .refused(.blocked, .failureStreak, retryAfterMs: until - context.now)
        }
        guard challenge.state == .open, challenge.expiresAt > context.now else { return .refused(.challengeNotOpen) }
        let asker = Asker(
            tenant: tenant, purpose: purpose, phoneIndex: index(.phone, tenant.number, challenge.phone),
            accountIndex: index(.account, tenant.number, challenge.account), index: Int(challenge.asker))
        if let refusal = resendOnce(&challenge, m.challenge, asker, context, &state) {
            let subject = readAccount(asker.accountIndex, &state)?.subject ?? .zero
            emit(.requestRefused, context, &state) { event in
                event.tenant = tenant.number
                event.purpose = challenge.purpose
                event.challenge = m.challenge
                event.subject = subject
                event.status = refusal.statusCode
                event.limit = refusal.limitCode
            }
            return .refused(refusal)
        }
        challenge.verdicts.append(Verdict(tag: tag, digest: digest.high, status: Status.done.rawValue))
        write(challenge, m.challenge, &state)
        return reply(challenge, m.challenge, .resent)
    }

    /// Checks all limits of a further send; if they pass, debits, queues the message and updates `challenge`, which the caller
    /// writes.
    func resendOnce<S: State>(
        _ challenge: inout ChallengeRecord, _ id: Bytes16, _ asker: Asker, _ context: BatchContext, _ state: inout S
    ) -> Refusal? {
        let now = context.now
        var phone = readPhone(asker.phoneIndex, &state)
        var account = readAccount(asker.accountIndex, &state) ?? AccountRecord()
        if challenge.sendsLeft == 0 {
            return Refusal(.limited, limit: .challengeSends, retryAfterMs: challenge.expiresAt - now)
        }
        let check = LimitCheck.sends(
            phone: phone.classes[asker.index], account: account.classes[asker.index],
            phoneTag: asker.phoneIndex.high, accountTag: asker.accountIndex.high, opening: false, replacing: nil,
            gapMs: asker.purpose.gapMs, tenant: asker.tenant, now: now)
        // The gap always holds; the budgets follow the tenant's mode.
        if !check.passes, asker.tenant.mode == .enforce || check.limit == .resendGap {
            return Refusal(.limited, limit: check.limit, retryAfterMs: check.retryAfterMs)
        }
        // A message that could only arrive too late is refused, undebited.
        let left = challenge.expiresAt - now
        guard left >= min(60_000, (challenge.expiresAt - challenge.createdAt) / 3) else { return Refusal(.undeliverable) }
        killMessages(challenge, id, &state)
        debit(&phone, &account, asker, now)
        challenge.sends += 1
        challenge.delivery = StatusRequest.Delivery.queued.rawValue
        challenge.resendAt = now + nextGap(asker.purpose, unverified: phone.classes[asker.index].sends.unverified)
        write(phone, asker.phoneIndex, now, &state)
        write(account, asker.accountIndex, &state)
        queueMessage(challenge, id, now, &state)
        let (tenant, purpose, subject) = (challenge.tenant, challenge.purpose, account.subject)
        emit(.codeResent, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = id
            event.subject = subject
        }
        return nil
    }
}
