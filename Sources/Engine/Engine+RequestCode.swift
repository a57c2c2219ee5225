import Wire

/// RequestCode: a new challenge, the open one again, or one more message of it.
extension Engine {
    /// The open challenge on a request's key.
    typealias Former = (id: Bytes16, challenge: ChallengeRecord)

    func requestCode<S: State>(
        _ m: RequestCode, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        act(as: m.assurance)
        guard m.channel ?? 1 == 1, m.assurance <= Assurance.knownDevice.rawValue,
            Validation.isAddress(m.clientIP)
        else {
            return .refused(.unsupportedField)
        }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        if let status = invalid(m.account, m.phone, m.session, m.assurance, purpose) {
            return .refused(status)
        }
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        let id = challengeID(m.requestID, caller.tenant)
        let digest = digest(m, caller)
        if let known = readChallenge(id, &state) {
            return repeated(known, id, digest, caller, context, &state)
        }
        let asker = asker(tenant, purpose, m.account, m.phone, m.assurance)
        if let refusal = blocked(m.account, m.phone, asker, context, &state) { return .refused(refusal) }
        let slotIndex = slotIndex(tenant.number, m.account, m.purpose, .zero, m.session)
        let slot = readSlot(slotIndex, &state)
        let request = Opening(message: m, id: id, digest: digest, slotIndex: slotIndex, slot: slot)
        let former = openChallenge(in: slot, m.assurance, caller, context, &state)
        if let former, former.challenge.phone == m.phone {
            return again(request, former, asker, context, entropy, &state)
        }
        let phone = readPhone(asker.phoneIndex, &state)
        let account = readAccount(asker.accountIndex, &state)
        let check = gate(phone, account, asker, resending: nil, replacing: nil, context.now)
        guard check.passes else { return .refused(lasting(check, m.requestID, context.now)) }
        return create(request, former, check, phone, account, asker, context, entropy, &state)
    }

    /// A RequestCode on its way: what was learnt of it.
    struct Opening {
        var message: RequestCode
        var id: Bytes16
        var digest: Bytes16
        var slotIndex: Bytes16
        var slot: SlotRecord
    }

    /// The challenge that a slot names for a class of askers, while it is open and valid.
    func openChallenge<S: State>(
        in slot: borrowing SlotRecord, _ asker: UInt8, _ caller: Caller, _ context: BatchContext,
        _ state: inout S
    ) -> Former? {
        let id = slot.ids[Int(asker)]
        guard id != .zero, let open = readChallenge(id, &state), open.state == .open,
            open.expiresAt > context.now,
            open.asker == asker, isValid(open, caller, context)
        else { return nil }
        return (id, open)
    }

    /// Field checks in `Status` order.
    func invalid(
        _ account: AccountBytes, _ phone: PhoneBytes, _ session: Bytes32, _ assurance: UInt8,
        _ purpose: PurposePolicy
    ) -> Status? {
        guard Validation.isAccount(account) else { return .invalidAccount }
        guard Validation.isPhone(phone) else { return .invalidPhone }
        if purpose.requiresSession, session == .zero { return .invalidSession }
        return assurance < purpose.leastAssurance.rawValue ? .assuranceTooLow : nil
    }

    /// Whether who opened a challenge may still do so: a purpose that has become a payment's since asks for more.
    func isEnough(_ challenge: borrowing ChallengeRecord, _ purpose: PurposePolicy) -> Bool {
        challenge.asker >= purpose.leastAssurance.rawValue
    }

    /// A request id that has made a challenge: the same outcome, or a conflict.
    private func repeated<S: State>(
        _ known: ChallengeRecord, _ id: Bytes16, _ digest: Bytes16, _ caller: Caller, _ context: BatchContext,
        _ state: inout S
    ) -> Reply {
        guard known.requestDigest == digest else { return .refused(.requestIdConflict) }
        // Void since a restore or a clock that went back: nothing can be verified on it any more.
        guard isValid(known, caller, context) else { return .refused(.challengeNotOpen) }
        guard known.state == .alias else {
            return reply(known, id, .created, resendAt: resendAt(known, context.now, &state))
        }
        guard let target = readChallenge(known.target, &state), isValid(target, caller, context) else {
            return .refused(.challengeNotOpen)
        }
        return reply(
            target, known.target, known.aliasDisposition, resendAt: resendAt(target, context.now, &state))
    }

    /// The same key again: inside the gap the first answer, after it a Resend under all its limits, near its
    /// end another challenge.
    private func again<S: State>(
        _ request: Opening, _ former: Former, _ asker: Asker, _ context: BatchContext, _ entropy: Entropy,
        _ state: inout S
    ) -> Reply {
        let (open, openID) = (former.challenge, former.id)
        var alias = ChallengeRecord()
        alias.state = .alias
        alias.tenant = open.tenant
        alias.requestDigest = request.digest
        alias.target = openID
        alias.createdAt = context.now
        alias.expiresAt = open.expiresAt
        let phone = readPhone(asker.phoneIndex, &state)
        // The gap is the phone's: another session's send can extend it beyond the challenge's own.
        let gapEnd = resendAt(open, phone, asker.purpose)
        if context.now < gapEnd {
            alias.aliasDisposition = .joined
            write(alias, request.id, &state)
            return reply(open, openID, .joined, resendAt: gapEnd)
        }
        let account = readAccount(asker.accountIndex, &state)
        let (check, isSame) = sendCheck(open, openID, phone, account, asker, context.now)
        guard check.passes else { return .refused(lasting(check, request.message.requestID, context.now)) }
        guard isSame else {
            return create(request, former, check, phone, account, asker, context, entropy, &state)
        }
        var challenge = open
        resend(&challenge, openID, check, request.message.requestID, phone, account, asker, context, &state)
        write(challenge, openID, &state)
        alias.aliasDisposition = .resent
        write(alias, request.id, &state)
        return reply(challenge, openID, .resent, resendAt: challenge.resendAt)
    }

    /// A new challenge, in the place of `former`: its limits have passed.
    private func create<S: State>(
        _ request: Opening, _ former: Former?, _ check: LimitCheck, _ phone: consuming PhoneRecord,
        _ account: consuming AccountRecord,
        _ asker: Asker, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        let (m, id, now) = (request.message, request.id, context.now)
        if let former { supersede(former, account.subject, &phone, asker, context, &state) }
        // Time first: the records of new accounts then lie side by side in the database, and a checkpoint
        // writes one page for many of them. It tells no more than the first event of the account does.
        if account.isNew { account.subject = entropy.subject(at: now) }
        tellShadows(
            check, m.purpose, .zero, account.subject, asker.tenant.number, m.requestID, context, &state)
        debit(&phone, &account, asker, now)
        let challenge = newChallenge(
            m, request.digest, asker, now, entropy, unverified: phone.classes[asker.index].sends.unverified)
        phone.classes[asker.index].open.insert(id, until: challenge.expiresAt, now: now)
        write(phone, asker.phoneIndex, now, &state)
        write(account, asker.accountIndex, of: asker.tenant.number, m.account, now, &state)
        write(challenge, id, &state)
        var slot = request.slot
        slot.ids[asker.index] = id
        slot.expiresAt = max(slot.expiresAt, challenge.expiresAt)
        write(slot, request.slotIndex, &state)
        queueMessage(challenge, id, asker.purpose.priority, now, &state)
        let subject = account.subject
        emit(.codeRequested, context, &state) { event in
            event.tenant = asker.tenant.number
            event.purpose = m.purpose
            event.challenge = id
            event.subject = subject
        }
        return reply(challenge, id, .created, resendAt: challenge.resendAt)
    }

    private func newChallenge(
        _ m: RequestCode, _ digest: Bytes16, _ asker: Asker, _ now: UInt64, _ entropy: Entropy,
        unverified: Int
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

    /// A new phone in the same session, or a new code near the former's end, closes the former challenge.
    private func supersede<S: State>(
        _ former: Former, _ subject: Bytes16, _ phone: inout PhoneRecord, _ asker: Asker,
        _ context: BatchContext, _ state: inout S
    ) {
        var closed = former.challenge
        closed.state = .superseded
        killMessages(closed, former.id, &state)
        write(closed, former.id, &state)
        let index = phoneIndex(closed.tenant, closed.phone)
        if index == asker.phoneIndex {
            phone.classes[asker.index].open.remove(former.id)
        } else {
            var other = readPhone(index, &state)
            other.classes[asker.index].open.remove(former.id)
            write(other, index, context.now, &state)
        }
        let (tenant, purpose) = (closed.tenant, closed.purpose)
        emit(.challengeSuperseded, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = former.id
            event.subject = subject
        }
    }
}
