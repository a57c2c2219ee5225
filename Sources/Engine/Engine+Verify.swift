import LibCrypto
import Wire

/// Verify: the one place where a code is compared. A wrong guess is a write; the count comes before the answer (P3).
extension Engine {
    func verify<S: State>(
        _ m: Verify, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        guard Validation.isCode(m.code) else { return .refused(.invalidCode) }
        let found = readChallenge(m.challenge, &state)
        // An unknown challenge walks the same path over an empty record.
        var challenge = found ?? ChallengeRecord()
        let expected = CodeGenerator.code(of: challenge, id: m.challenge, key: keys.code)
        let digest = digest(m, caller)
        let tag = tag(m.requestID, caller.tenant)
        let isKnown =
            found != nil && challenge.state != .alias && isValid(challenge, caller, context)
            && challenge.session == m.session
        let isOpen = isKnown && challenge.state == .open && challenge.expiresAt > context.now
        let alphabet = CodeAlphabet(rawValue: challenge.alphabet) ?? .digits
        let typed = CodeGenerator.normalize(m.code, alphabet: alphabet, length: Int(challenge.codeLength))
        if isOpen, typed == nil { return .refused(.invalidCode, attemptsLeft: challenge.attemptsLeft) }
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        if isKnown, let verdict = challenge.verdicts.find(tag) {
            guard verdict.digest == digest.high else { return .refused(.requestIdConflict) }
            return repeated(verdict, challenge, context)
        }
        guard let tenant = tenant(caller.tenant) else { return .refused(.notPermitted) }
        let isRight = CodeGenerator.equal(typed ?? CodeBytes(), expected)

        let streakIndex = streakIndex(caller.tenant, challenge.account, challenge.phone)
        var streak = readStreak(streakIndex, &state)
        let phoneIndex = self.phoneIndex(caller.tenant, challenge.phone)
        var phone = readPhone(phoneIndex, &state)
        guard isOpen, let purpose = purpose(challenge.purpose, of: tenant) else {
            return .refused(.challengeNotOpen)
        }
        if let refusal = guarded(streak, phone, purpose, tenant, Int(challenge.asker), context.now) {
            return .refused(refusal)
        }
        phone.verifies.debit(now: context.now, keep: 60_000)
        let verdict = Verdict(tag: tag, digest: digest.high, status: 0)
        if isRight {
            phone.classes[Int(challenge.asker)].sends.verified()
            phone.classes[Int(challenge.asker)].open.remove(m.challenge)
            write(phone, phoneIndex, context.now, &state)
            if streak.total > 0 { state.delete(.streak, key(streakIndex)) }
            return accept(&challenge, m.challenge, verdict, purpose, context, entropy, &state)
        }
        let blockMs = streak.fail(Int(challenge.asker), policy: purpose.streak, now: context.now)
        write(streak, streakIndex, purpose.streak, context.now, &state)
        return reject(&challenge, m.challenge, verdict, &phone, phoneIndex, (streak.total, blockMs), purpose, context, &state)
    }

    /// Limits of guessing: always enforced.
    private func guarded(
        _ streak: borrowing StreakRecord, _ phone: borrowing PhoneRecord, _ purpose: PurposePolicy,
        _ tenant: TenantPolicy, _ asker: Int, _ now: UInt64
    ) -> Refusal? {
        let until = streak.blockedUntil[asker]
        if until > now, purpose.streak.scope.stopsVerify {
            return Refusal(.blocked, limit: .failureStreak, retryAfterMs: until - now)
        }
        if streak.total >= purpose.streak.disableAfter { return Refusal(.factorDisabled) }
        let retry = phone.verifies.retryAfter(
            limit: tenant.verifiesPerPhoneMinute, window: 60_000, among: phone.verifies.count, now: now)
        return retry > 0 ? Refusal(.limited, limit: .phoneVerifyMinute, retryAfterMs: retry) : nil
    }

    /// The answer to a retry of a decided Verify.
    private func repeated(_ verdict: Verdict, _ challenge: borrowing ChallengeRecord, _ context: BatchContext) -> Reply {
        guard verdict.status == Status.done.rawValue else {
            return .refused(.wrongCode, attemptsLeft: verdict.attemptsLeft)
        }
        guard context.now < challenge.verifiedAt + RuleBounds.grantRepeatMs else { return .refused(.alreadyVerified) }
        // `resendAt` of an accepting verdict holds the grant's end.
        return verified(challenge.target, challenge.purpose, verdict.resendAt, context)
    }

    /// The code was right and the challenge open: consumed, for ever, with its grant in the same commit.
    private func accept<S: State>(
        _ challenge: inout ChallengeRecord, _ id: Bytes16, _ verdict: Verdict, _ purpose: PurposePolicy,
        _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        let now = context.now
        let grantID = Bytes16(
            timeMs: now, tailHigh: UInt16(truncatingIfNeeded: entropy.tail.high), tailLow: entropy.tail.low)
        let accountIndex = self.accountIndex(challenge.tenant, challenge.account)
        var account = readAccount(accountIndex, &state)
        account.classes[Int(challenge.asker)].sends.verified()
        write(account, accountIndex, of: challenge.tenant, challenge.account, now, &state)

        var grant = GrantRecord()
        grant.tenant = challenge.tenant
        grant.purpose = challenge.purpose
        grant.challenge = id
        grant.session = challenge.session
        grant.account = accountIndex
        grant.subject = account.subject
        grant.verifiedAt = now
        grant.expiresAt = now + purpose.grantLifeMs
        write(grant, grantID, &state)

        var verdict = verdict
        verdict.resendAt = grant.expiresAt
        challenge.state = .verified
        challenge.verifiedAt = now
        challenge.target = grantID
        challenge.verdicts.append(verdict)
        close(challenge, id, &state)
        let (tenant, number) = (challenge.tenant, challenge.purpose)
        emit(.codeVerified, context, &state) { event in
            event.tenant = tenant
            event.purpose = number
            event.challenge = id
            event.subject = account.subject
        }
        return verified(grantID, challenge.purpose, grant.expiresAt, context)
    }

    /// Writes a challenge that has just ended: its slot is free, its unsent messages die.
    func close<S: State>(_ challenge: borrowing ChallengeRecord, _ id: Bytes16, _ state: inout S) {
        let slot = slotIndex(
            challenge.tenant, challenge.account, challenge.purpose, challenge.binding, challenge.session)
        state.delete(.slot, key(slot))
        killMessages(challenge, id, &state)
        write(challenge, id, &state)
    }

    private func reject<S: State>(
        _ challenge: inout ChallengeRecord, _ id: Bytes16, _ verdict: Verdict, _ phone: inout PhoneRecord, _ phoneIndex: Bytes16,
        _ streak: (total: UInt16, blockMs: UInt64), _ purpose: PurposePolicy, _ context: BatchContext, _ state: inout S
    ) -> Reply {
        challenge.attemptsUsed += 1
        var verdict = verdict
        verdict.status = Status.wrongCode.rawValue
        verdict.attemptsLeft = challenge.attemptsLeft
        challenge.verdicts.append(verdict)
        let isLast = challenge.attemptsLeft == 0
        if isLast {
            challenge.state = .exhausted
            phone.classes[Int(challenge.asker)].open.remove(id)
            close(challenge, id, &state)
        } else {
            write(challenge, id, &state)
        }
        write(phone, phoneIndex, context.now, &state)
        let subject = subject(
            of: accountIndex(challenge.tenant, challenge.account), challenge.tenant, challenge.account, context.now, &state)
        let (tenant, number, left) = (challenge.tenant, challenge.purpose, challenge.attemptsLeft)
        func tell(_ kind: EventPush.Kind) {
            emit(kind, context, &state) { event in
                event.tenant = tenant
                event.purpose = number
                event.challenge = id
                event.subject = subject
                event.attemptsLeft = left
            }
        }
        tell(.wrongCode)
        if isLast { tell(.attemptsExhausted) }
        if streak.blockMs > 0 { tell(.accountBlocked) }
        if streak.total == purpose.streak.disableAfter { tell(.factorDisabled) }
        return .refused(.wrongCode, attemptsLeft: left)
    }

    /// The token is the grant's id and its MAC: nothing at rest is enough to make one.
    private func verified(_ grant: Bytes16, _ purpose: UInt16, _ expiresAt: UInt64, _ context: BatchContext) -> Reply {
        var reply = Verify.Reply()
        reply.grant = Bytes32(head: grant, tail: grantMAC(grant))
        reply.purpose = purpose
        reply.expiresAtMs = expiresAt
        reply.expiresAtWallMs = context.wall + (expiresAt > context.now ? expiresAt - context.now : 0)
        return .verified(reply)
    }

    func grantMAC(_ id: Bytes16) -> Bytes16 {
        var mac = keys.grant.begin()
        mac.update(id)
        return mac.finish().first16
    }
}
