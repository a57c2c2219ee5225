import LibCrypto
import Wire

/// Verify: the one place where a code is compared. A wrong guess is a write; the count comes before the
/// answer (P3).
extension Engine {
    func verify<S: State>(
        _ m: Verify, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        guard Validation.isAddress(m.clientIP) else { return .refused(.unsupportedField) }
        guard Validation.isCode(m.code) else { return .refused(.invalidCode) }
        let now = context.now
        let found = readChallenge(m.challenge, &state)
        // An unknown challenge walks the same path over an empty record.
        var challenge = found ?? ChallengeRecord()
        let expected = CodeGenerator.code(of: challenge, id: m.challenge, key: keys.code)
        let digest = digest(m, caller)
        let tag = tag(m.requestID, caller.tenant)
        let isKnown =
            found != nil && challenge.state != .alias && isValid(challenge, caller, context)
            && challenge.session == m.session
        let isOpen = isKnown && challenge.state == .open && challenge.expiresAt > now
        if isKnown { act(as: challenge.asker) }
        let alphabet = CodeAlphabet(rawValue: challenge.alphabet) ?? .digits
        let typed = CodeGenerator.normalize(m.code, alphabet: alphabet, length: Int(challenge.codeLength))
        if isOpen, typed == nil { return .refused(.invalidCode, attemptsLeft: challenge.attemptsLeft) }
        if let status = Validation.age(m.requestID, now: now) { return .refused(status) }
        if isKnown, let verdict = challenge.verdicts.find(tag) {
            guard verdict.digest == digest.high else { return .refused(.requestIdConflict) }
            return repeated(verdict, challenge, context)
        }
        guard let tenant = tenant(caller.tenant) else { return .refused(.notPermitted) }
        let isRight = CodeGenerator.equal(typed ?? CodeBytes(), expected)

        let streakIndex = streakIndex(caller.tenant, challenge.account, challenge.phone)
        var streak = readStreak(streakIndex, now, &state)
        let phoneIndex = self.phoneIndex(caller.tenant, challenge.phone)
        var phone = readPhone(phoneIndex, &state)
        guard isOpen, let purpose = purpose(challenge.purpose, of: tenant), isEnough(challenge, purpose) else {
            return .refused(.challengeNotOpen)
        }
        let asker = Int(challenge.asker)
        let payments =
            purpose.isPayment
            ? readAccount(accountIndex(caller.tenant, challenge.account), &state).payments : nil
        if let refusal = blocked(streak, payments, asker, stops: purpose.streak.scope.stopsVerify, now) {
            return .refused(refusal)
        }
        let wait = phone.classes[asker].verifies.retryAfter(limit: tenant.verifiesPerPhoneMinute, now: now)
        guard wait == 0 else {
            return .refused(
                tooMany(
                    wait, m, challenge, phone,
                    asker: self.asker(tenant, purpose, challenge.account, challenge.phone, challenge.asker),
                    context, &state))
        }
        phone.classes[asker].verifies.debit(now: now)
        let verdict = Verdict(tag: tag, digest: digest.high, status: 0)
        if isRight {
            phone.classes[asker].sends.verified()
            phone.classes[asker].open.remove(m.challenge)
            write(phone, phoneIndex, now, &state)
            if streak.hasFailures(through: asker) {
                streak.succeed(asker)
                write(streak, streakIndex, &state)
            }
            return accept(&challenge, m.challenge, verdict, purpose, context, entropy, &state)
        }
        let outcome = streak.fail(asker, policy: purpose.streak, now: now)
        write(streak, streakIndex, &state)
        return reject(&challenge, m.challenge, verdict, &phone, phoneIndex, outcome, purpose, context, &state)
    }

    /// The rate of compared codes: always enforced. Where its wait outlives the challenge or the request id,
    /// only another challenge's code can be compared.
    private func tooMany<S: State>(
        _ wait: UInt64, _ m: Verify, _ challenge: ChallengeRecord, _ phone: borrowing PhoneRecord,
        asker: Asker,
        _ context: BatchContext, _ state: inout S
    ) -> Refusal {
        let then = context.now + wait
        guard then >= challenge.expiresAt || !isInTime(m.requestID, then) else {
            return Refusal(.limited, limit: .phoneVerifyMinute, retryAfterMs: wait)
        }
        let account = readAccount(asker.accountIndex, &state)
        let check = sendCheck(challenge, m.challenge, phone, account, asker, context.now).check
        return Refusal(.startAnew, limit: .phoneVerifyMinute, retryAfterMs: check.retryAfterMs)
    }

    /// The answer to a retry of a decided Verify.
    private func repeated(_ verdict: Verdict, _ challenge: borrowing ChallengeRecord, _ context: BatchContext)
        -> Reply
    {
        guard verdict.status == Status.done.rawValue else {
            return .refused(.wrongCode, attemptsLeft: verdict.attemptsLeft)
        }
        guard context.now < challenge.verifiedAt + RuleBounds.grantRepeatMs else {
            return .refused(.alreadyVerified)
        }
        // `resendAt` of an accepting verdict holds the grant's end.
        return verified(challenge.target, challenge.purpose, verdict.resendAt, context, isRepeated: true)
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
        if purpose.isPayment { account.payments = PaymentStreak() }
        write(account, accountIndex, of: challenge.tenant, challenge.account, now, &state)

        var grant = GrantRecord()
        grant.tenant = challenge.tenant
        grant.purpose = challenge.purpose
        grant.challenge = id
        grant.asker = challenge.asker
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
        let index = slotIndex(
            challenge.tenant, challenge.account, challenge.purpose, challenge.binding, challenge.session)
        var slot = readSlot(index, &state)
        if slot.ids[Int(challenge.asker)] == id {
            slot.ids[Int(challenge.asker)] = .zero
            write(slot, index, &state)
        }
        killMessages(challenge, id, &state)
        write(challenge, id, &state)
    }

    private func reject<S: State>(
        _ challenge: inout ChallengeRecord, _ id: Bytes16, _ verdict: Verdict, _ phone: inout PhoneRecord,
        _ phoneIndex: Bytes16,
        _ streak: (blockMs: UInt64, turnsOff: Bool), _ purpose: PurposePolicy, _ context: BatchContext,
        _ state: inout S
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
        let paymentBlockMs = purpose.isPayment ? failPayment(challenge, purpose, context, &state) : 0
        let subject = subject(
            of: accountIndex(challenge.tenant, challenge.account), challenge.tenant, challenge.account,
            context.now, &state)
        let (tenant, number, left) = (challenge.tenant, challenge.purpose, challenge.attemptsLeft)
        func tell(_ kind: EventPush.Kind, _ limit: Limit = .none) {
            emit(kind, context, &state) { event in
                event.tenant = tenant
                event.purpose = number
                event.challenge = id
                event.subject = subject
                event.limit = limit.rawValue
                event.attemptsLeft = left
            }
        }
        tell(.wrongCode)
        if isLast { tell(.attemptsExhausted) }
        if streak.blockMs > 0 { tell(.accountBlocked, .failureStreak) }
        if paymentBlockMs > 0 { tell(.accountBlocked, .paymentStreak) }
        if streak.turnsOff { tell(.factorDisabled) }
        return .refused(.wrongCode, attemptsLeft: left)
    }

    /// A wrong payment code counts on the account, whoever asked and whatever the phone.
    private func failPayment<S: State>(
        _ challenge: borrowing ChallengeRecord, _ purpose: PurposePolicy, _ context: BatchContext,
        _ state: inout S
    ) -> UInt64 {
        let index = accountIndex(challenge.tenant, challenge.account)
        var account = readAccount(index, &state)
        let blockMs = account.payments.fail(policy: purpose.streak, now: context.now)
        write(account, index, of: challenge.tenant, challenge.account, context.now, &state)
        return blockMs
    }

    /// The token is the grant's id and its MAC: nothing at rest is enough to make one.
    private func verified(
        _ grant: Bytes16, _ purpose: UInt16, _ expiresAt: UInt64, _ context: BatchContext,
        isRepeated: Bool = false
    ) -> Reply {
        var reply = Verify.Reply()
        reply.grant = Bytes32(head: grant, tail: grantMAC(grant))
        reply.purpose = purpose
        reply.expiresAtMs = expiresAt
        reply.expiresAtWallMs = context.wall + (expiresAt > context.now ? expiresAt - context.now : 0)
        if isRepeated { reply.repeated = 1 }
        return .verified(reply)
    }

    func grantMAC(_ id: Bytes16) -> Bytes16 {
        var mac = keys.grant.begin()
        mac.update(id)
        return mac.finish().first16
    }
}
