import Wire

/// Status and Quota: they read and write nothing.
extension Engine {
    func status<S: State>(
        _ m: StatusRequest, _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> Reply {
        guard let challenge = readChallenge(m.challenge, &state), isValid(challenge, caller, context),
            challenge.state != .alias, challenge.session == m.session
        else { return .refused(.challengeNotOpen) }
        var reply = StatusRequest.Reply()
        let isExpired = challenge.state == .open && challenge.expiresAt <= context.now
        reply.state = isExpired ? StatusRequest.State.expired.rawValue : challenge.state.rawValue
        reply.delivery = challenge.delivery
        reply.attemptsLeft = challenge.attemptsLeft
        reply.sendsLeft = challenge.sendsLeft
        reply.expiresAtMs = challenge.expiresAt
        reply.resendAtMs = challenge.resendAt
        if let send = m.send { tell(send == 0 ? challenge.sends : send, of: m.challenge, in: &reply, &state) }
        return .status(reply)
    }

    /// What is remembered of a message: times, gateway, price; never what it said.
    private func tell<S: State>(
        _ send: UInt8, of challenge: Bytes16, in reply: inout StatusRequest.Reply, _ state: inout S
    ) {
        guard let message = readMessage(challenge, send, &state) else { return }
        func known(_ time: UInt64) -> UInt64? { time == 0 ? nil : time }
        let history = message.history
        reply.send = send
        reply.sendDelivery = message.state.delivery.rawValue
        reply.submits = message.attempts - message.writtenOff
        reply.queuedAtMs = known(history.queuedAt)
        reply.leasedAtMs = known(history.leasedAt)
        reply.submittedAtMs = known(history.submittedAt)
        reply.settledAtMs = known(history.settledAt)
        reply.gateway = history.gateway
        reply.reference = history.reference
        if history.segments > 0 { reply.segments = history.segments }
        if history.priceMicros > 0 { reply.priceMicros = history.priceMicros }
        reply.currency = history.currency
        reply.reason = history.reason
    }

    func quota<S: State>(_ m: Quota, _ caller: Caller, _ context: BatchContext, _ state: inout S) -> Reply {
        guard m.assurance <= Assurance.knownDevice.rawValue else { return .refused(.unsupportedField) }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        if let status = invalid(m.account, m.phone, m.session, purpose) { return .refused(status) }
        let now = context.now
        let asker = Asker(
            tenant: tenant, purpose: purpose, phoneIndex: phoneIndex(tenant.number, m.phone),
            accountIndex: accountIndex(tenant.number, m.account), index: Int(m.assurance))
        if let refusal = blocked(m.account, m.phone, asker, context, &state) { return .refused(refusal) }
        let phones = readPhone(asker.phoneIndex, &state)
        let accounts = readAccount(asker.accountIndex, &state)
        let slot = slotIndex(tenant.number, m.account, m.purpose, .zero, m.session)
        if let refusal = wouldRefuse(m, slot, phones, accounts, asker, caller, context, &state) {
            return .refused(refusal)
        }
        return .quota(left(phones.classes[asker.index], accounts.classes[asker.index], tenant, now))
    }

    private func left(
        _ phone: borrowing PhoneRecord.Class, _ account: borrowing AccountRecord.Class, _ tenant: TenantPolicy, _ now: UInt64
    ) -> Quota.Reply {
        var reply = Quota.Reply()
        reply.sendsLeftHour = left(phone.sends, account.sends, tenant.unverifiedPerHour, RuleBounds.hourMs, now)
        reply.sendsLeftDay = left(phone.sends, account.sends, tenant.unverifiedPerDay, RuleBounds.dayMs, now)
        reply.openLeft = UInt8(clamping: tenant.openPerPhone - phone.open.live(now: now))
        return reply
    }

    /// As RequestCode goes: join in the gap, else resend, else a new challenge.
    private func wouldRefuse<S: State>(
        _ m: Quota, _ slot: Bytes16, _ phone: borrowing PhoneRecord, _ account: borrowing AccountRecord, _ asker: Asker,
        _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> Refusal? {
        let former = openChallenge(in: slot, caller, context, &state)
        guard let former, former.challenge.phone == m.phone else {
            return gate(phone, account, asker, resending: nil, replacing: nil, context.now).refusal
        }
        guard former.challenge.asker == m.assurance else {
            return gate(phone, account, asker, resending: nil, replacing: former.id, context.now).refusal
        }
        if isInGap(former.challenge, asker, context.now, &state) { return nil }
        if let refusal = gate(
            phone, account, asker, resending: former.challenge, replacing: nil, context.now
        ).refusal {
            return refusal
        }
        return context.now <= former.challenge.lastSubmit ? nil : Refusal(.undeliverable)
    }

    private func left(
        _ phone: borrowing SendWindow, _ account: borrowing SendWindow, _ limit: Int, _ window: UInt64, _ now: UInt64
    ) -> UInt8 {
        let used = max(
            phone.used(within: window, among: phone.unverified, now: now),
            account.used(within: window, among: account.unverified, now: now))
        return UInt8(clamping: limit - used)
    }
}
