import Wire

/// RequestCode: a new challenge, the open one again, or one more message of it.
extension Engine {
    /// What the checks of a RequestCode need and find.
    struct Asker {
        var tenant: TenantPolicy
        var purpose: PurposePolicy
        var phoneIndex: Bytes16
        var accountIndex: Bytes16
        var index: Int
        var isCounted = false
    }

    func requestCode<S: State>(
        _ m: RequestCode, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        guard m.channel ?? 1 == 1, m.assurance <= Assurance.knownDevice.rawValue else {
            return .refused(.unsupportedField)
        }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        if let status = invalid(m.account, m.phone, m.session, purpose) { return .refused(status) }
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        let id = challengeID(m.requestID, caller.tenant)
        let digest = digest(m, caller)
        if let known = readChallenge(id, &state) {
            return repeated(known, id, digest, caller, context, &state)
        }
        let asker = Asker(
            tenant: tenant, purpose: purpose, phoneIndex: phoneIndex(tenant.number, m.phone),
            accountIndex: accountIndex(tenant.number, m.account), index: Int(m.assurance),
            isCounted: caller.isCounted)
        if let refusal = blocked(m.account, m.phone, asker, context, &state) {
            refused(refusal, m, asker, context, &state)
            return .refused(refusal)
        }
        let slot = slotIndex(tenant.number, m.account, m.purpose, .zero, m.session)
        let former = openChallenge(in: slot, caller, context, &state)
        if let former, former.challenge.phone == m.phone, former.challenge.asker == m.assurance {
            return again(m, former.challenge, former.id, id, digest, asker, context, &state)
        }
        return create(m, id, digest, former, slot, asker, context, entropy, &state)
    }

    /// The challenge that a slot names, while it is open and valid.
    func openChallenge<S: State>(
        in slot: Bytes16, _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> (id: Bytes16, challenge: ChallengeRecord)? {
        guard state.read(.slot, key(slot), into: record) else { return nil }
        let id = record.bytes16()
        guard let open = readChallenge(id, &state), open.state == .open, open.expiresAt > context.now,
            isValid(open, caller, context)
        else { return nil }
        return (id, open)
    }

    /// Field checks in `Status` order.
    func invalid(
        _ account: AccountBytes, _ phone: PhoneBytes, _ session: Bytes32, _ purpose: PurposePolicy
    ) -> Status? {
        guard Validation.isAccount(account) else { return .invalidAccount }
        guard Validation.isPhone(phone) else { return .invalidPhone }
        if purpose.requiresSession, session == .zero { return .invalidSession }
        return nil
    }

    /// A request id that has made a challenge: the same outcome, or a conflict.
    private func repeated<S: State>(
        _ known: ChallengeRecord, _ id: Bytes16, _ digest: Bytes16, _ caller: Caller, _ context: BatchContext,
        _ state: inout S
    ) -> Reply {
        guard known.requestDigest == digest else { return .refused(.requestIdConflict) }
        // Void since a restore or a clock that went back: nothing can be verified on it any more.
        guard isValid(known, caller, context) else { return .refused(.challengeNotOpen) }
        guard known.state == .alias else { return reply(known, id, .created) }
        guard let target = readChallenge(known.target, &state), isValid(target, caller, context) else {
            return .refused(.challengeNotOpen)
        }
        return reply(target, known.target, known.aliasDisposition)
    }

    /// The refusal of a failure streak, if one stands.
    func blocked<S: State>(
        _ account: AccountBytes, _ phone: PhoneBytes, _ asker: Asker, _ context: BatchContext, _ state: inout S
    ) -> Refusal? {
        let streak = readStreak(streakIndex(asker.tenant.number, account, phone), &state)
        let until = streak.blockedUntil[asker.index]
        if until > context.now, asker.purpose.streak.scope.stopsRequestCode {
            return Refusal(.blocked, limit: .failureStreak, retryAfterMs: until - context.now)
        }
        return streak.total >= asker.purpose.streak.disableAfter ? Refusal(.factorDisabled) : nil
    }

    /// The same key again: inside the gap the first answer, after it a Resend under all its limits.
    private func again<S: State>(
        _ m: RequestCode, _ open: ChallengeRecord, _ openID: Bytes16, _ id: Bytes16, _ digest: Bytes16, _ asker: Asker,
        _ context: BatchContext, _ state: inout S
    ) -> Reply {
        var alias = ChallengeRecord()
        alias.state = .alias
        alias.tenant = open.tenant
        alias.requestDigest = digest
        alias.target = openID
        alias.createdAt = context.now
        alias.expiresAt = open.expiresAt
        if isInGap(open, asker, context.now, &state) {
            alias.aliasDisposition = .joined
            write(alias, id, &state)
            return reply(open, openID, .joined)
        }
        var challenge = open
        if let refusal = resendOnce(&challenge, openID, asker, context, &state) {
            refused(refusal, m, asker, context, &state)
            return .refused(refusal)
        }
        write(challenge, openID, &state)
        alias.aliasDisposition = .resent
        write(alias, id, &state)
        return reply(challenge, openID, .resent)
    }

    /// The gap is the phone's: another session's send can extend it beyond the challenge's own.
    func isInGap<S: State>(
        _ open: borrowing ChallengeRecord, _ asker: Asker, _ now: UInt64, _ state: inout S
    ) -> Bool {
        if now < open.resendAt { return true }
        let phone = readPhone(asker.phoneIndex, &state)
        return LimitCheck.gap(phone.classes[asker.index].sends, gapMs: asker.purpose.gapMs, now: now) > 0
    }

    /// A new challenge, all limits first, all effects after.
    private func create<S: State>(
        _ m: RequestCode, _ id: Bytes16, _ digest: Bytes16, _ former: (id: Bytes16, challenge: ChallengeRecord)?,
        _ slot: Bytes16, _ asker: Asker, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        let now = context.now
        var phone = readPhone(asker.phoneIndex, &state)
        var account = readAccount(asker.accountIndex, &state)
        let replaced = former.flatMap { $0.challenge.phone == m.phone ? $0.id : nil }
        let verdict = gate(phone, account, asker, resending: nil, replacing: replaced, now)
        if let refusal = verdict.refusal {
            refused(refusal, m, asker, context, &state)
            return .refused(refusal)
        }
        if let shadowed = verdict.shadowed { refused(shadowed, m, asker, context, &state) }
        if let former {
            supersede(former.challenge, former.id, account.subject, &phone, asker, context, &state)
        }

        // Time first: the records of new accounts then lie side by side in the database, and a checkpoint writes one page for many of them.
        // It tells no more than the first event of the account does.
        if account.isNew { account.subject = entropy.subject(at: now) }
        debit(&phone, &account, asker, now)
        let challenge = newChallenge(
            m, digest, asker, now, entropy, unverified: phone.classes[asker.index].sends.unverified)
        phone.classes[asker.index].open.insert(id, until: challenge.expiresAt, now: now)
        write(phone, asker.phoneIndex, now, &state)
        write(account, asker.accountIndex, of: asker.tenant.number, m.account, now, &state)
        write(challenge, id, &state)
        record.clear()
        record.put(id)
        state.put(.slot, key(slot), record, expiresAt: challenge.expiresAt)
        queueMessage(challenge, id, asker.purpose.priority, now, &state)
        emit(.codeRequested, context, &state) { event in
            event.tenant = asker.tenant.number
            event.purpose = m.purpose
            event.challenge = id
            event.subject = account.subject
        }
        return reply(challenge, id, .created)
    }

    private func newChallenge(
        _ m: RequestCode, _ digest: Bytes16, _ asker: Asker, _ now: UInt64, _ entropy: Entropy, unverified: Int
    ) -> ChallengeRecord {
        var challenge = ChallengeRecord()
        challenge.tenant = asker.tenant.number
        challenge.purpose = m.purpose
        challenge.asker = m.assurance
        challenge.codeKeyID = keys.codeKeyID
        challenge.alphabet = asker.purpose.alphabet.rawValue
        challenge.codeLength = asker.purpose.codeLength
        challenge.attemptCap = asker.purpose.attempts
        challenge.sendCap = asker.purpose.sendsPerChallenge
        challenge.createdAt = now
        challenge.expiresAt = now + asker.purpose.lifeMs
        challenge.resendAt = now + nextGap(asker.purpose, unverified: unverified)
        challenge.nonce = entropy.nonce
        challenge.session = m.session
        challenge.requestDigest = digest
        challenge.account = m.account
        challenge.phone = m.phone
        challenge.webHost = m.webHost
        challenge.androidHash = m.androidHash
        challenge.locale = m.locale
        return challenge
    }

    /// The gap after the `unverified`th send without a verify.
    func nextGap(_ purpose: PurposePolicy, unverified: Int) -> UInt64 {
        purpose.gapMs.isEmpty ? 0 : purpose.gapMs[min(max(unverified, 1), purpose.gapMs.count) - 1]
    }

    /// Counts one send on both records.
    func debit(_ phone: inout PhoneRecord, _ account: inout AccountRecord, _ asker: Asker, _ now: UInt64) {
        phone.classes[asker.index].sends.debit(now: now)
        phone.classes[asker.index].accounts.insert(asker.accountIndex.high, now: now)
        account.classes[asker.index].sends.debit(now: now)
        account.classes[asker.index].phones.insert(asker.phoneIndex.high, now: now)
    }

    /// A new phone in the same session closes the former challenge.
    private func supersede<S: State>(
        _ former: ChallengeRecord, _ id: Bytes16, _ subject: Bytes16, _ phone: inout PhoneRecord, _ asker: Asker,
        _ context: BatchContext, _ state: inout S
    ) {
        var closed = former
        closed.state = .superseded
        killMessages(closed, id, &state)
        write(closed, id, &state)
        let index = phoneIndex(former.tenant, former.phone)
        if index == asker.phoneIndex {
            phone.classes[Int(former.asker)].open.remove(id)
        } else {
            var other = readPhone(index, &state)
            other.classes[Int(former.asker)].open.remove(id)
            write(other, index, context.now, &state)
        }
        emit(.challengeSuperseded, context, &state) { event in
            event.tenant = closed.tenant
            event.purpose = closed.purpose
            event.challenge = id
            event.subject = subject
        }
    }

    /// The event of a refusal that a limit or a block made, unless refusals of this request are counted.
    func refused<S: State>(
        _ refusal: Refusal, _ m: RequestCode, _ asker: Asker, _ context: BatchContext, _ state: inout S
    ) {
        guard !asker.isCounted else { return }
        let subject = subject(of: asker.accountIndex, asker.tenant.number, m.account, context.now, &state)
        emit(.requestRefused, context, &state) { event in
            event.tenant = asker.tenant.number
            event.purpose = m.purpose
            event.subject = subject
            event.status = refusal.statusCode
            event.limit = refusal.limitCode
        }
    }
}
