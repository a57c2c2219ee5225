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
        // First of all, as in Verify: a challenge that is over answers like an unknown one, blocked or not.
        guard challenge.state == .open, challenge.expiresAt > context.now else { return .refused(.challengeNotOpen) }
        let asker = Asker(
            tenant: tenant, purpose: purpose, phoneIndex: phoneIndex(tenant.number, challenge.phone),
            accountIndex: accountIndex(tenant.number, challenge.account), index: Int(challenge.asker),
            isCounted: caller.isCounted)
        let block = blocked(challenge.account, challenge.phone, asker, context, &state)
        if let refusal = block ?? resendOnce(&challenge, m.challenge, asker, context, &state) {
            guard !asker.isCounted else { return .refused(refusal) }
            let subject = subject(of: asker.accountIndex, tenant.number, challenge.account, context.now, &state)
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
        var account = readAccount(asker.accountIndex, &state)
        let verdict = gate(phone, account, asker, resending: challenge, replacing: nil, now)
        if let refusal = verdict.refusal { return refusal }
        // A message that could only arrive too late is refused, undebited.
        guard now <= challenge.lastSubmit else { return Refusal(.undeliverable) }
        killMessages(challenge, id, &state)
        debit(&phone, &account, asker, now)
        challenge.sends += 1
        challenge.delivery = StatusRequest.Delivery.queued.rawValue
        challenge.resendAt = now + nextGap(asker.purpose, unverified: phone.classes[asker.index].sends.unverified)
        write(phone, asker.phoneIndex, now, &state)
        write(account, asker.accountIndex, of: challenge.tenant, challenge.account, now, &state)
        queueMessage(challenge, id, asker.purpose.priority, now, &state)
        let (tenant, purpose, subject) = (challenge.tenant, challenge.purpose, account.subject)
        func tell(_ kind: EventPush.Kind, _ shadowed: Refusal?) {
            emit(kind, context, &state) { event in
                event.tenant = tenant
                event.purpose = purpose
                event.challenge = id
                event.subject = subject
                event.status = shadowed?.statusCode ?? event.status
                event.limit = shadowed?.limitCode ?? event.limit
            }
        }
        if let shadowed = verdict.shadowed { tell(.requestRefused, shadowed) }
        tell(.codeResent, nil)
        return nil
    }

    /// What refuses a send now, if anything: the gap and the sends of a challenge always, the budgets by the tenant's mode.
    /// `shadowed` is what budgets in shadow mode would have said.
    func gate(
        _ phone: borrowing PhoneRecord, _ account: borrowing AccountRecord, _ asker: Asker,
        resending open: ChallengeRecord?, replacing replaced: Bytes16?, _ now: UInt64
    ) -> (refusal: Refusal?, shadowed: Refusal?) {
        var check = LimitCheck()
        check.note(
            .resendGap, LimitCheck.gap(phone.classes[asker.index].sends, gapMs: asker.purpose.gapMs, now: now))
        if let open, open.sendsLeft == 0 { check.note(.challengeSends, open.expiresAt - now) }
        var budgets = LimitCheck()
        if asker.tenant.mode != .off {
            budgets = LimitCheck.budgets(
                phone: phone.classes[asker.index], account: account.classes[asker.index],
                phoneTag: asker.phoneIndex.high, accountTag: asker.accountIndex.high, opening: open == nil,
                replacing: replaced, tenant: asker.tenant, now: now)
        }
        if asker.tenant.mode == .enforce { check.note(budgets.limit, budgets.retryAfterMs) }
        return (check.refusal, asker.tenant.mode == .shadow ? budgets.refusal : nil)
    }
}
