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
        reply.resendAtMs = resendAt(challenge, context.now, &state)
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
        guard m.assurance <= Assurance.knownDevice.rawValue, Validation.isAddress(m.clientIP) else {
            return .refused(.unsupportedField)
        }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        if let status = invalid(m.account, m.phone, m.session, m.assurance, purpose) {
            return .refused(status)
        }
        let asker = asker(tenant, purpose, m.account, m.phone, m.assurance)
        if let refusal = blocked(m.account, m.phone, asker, context, &state) { return .refused(refusal) }
        let phone = readPhone(asker.phoneIndex, &state)
        let account = readAccount(asker.accountIndex, &state)
        let slot = readSlot(slotIndex(tenant.number, m.account, m.purpose, .zero, m.session), &state)
        let check = sendCheck(m, slot, phone, account, asker, caller, context, &state)
        // As a RequestCode whose id is made now.
        guard check.passes else {
            return .refused(
                lasting(check, Bytes16(timeMs: context.now, tailHigh: 0, tailLow: 0), context.now))
        }
        return .quota(left(phone, account, asker, context.now))
    }

    /// As RequestCode goes: join in the gap, else resend, else a new challenge.
    private func sendCheck<S: State>(
        _ m: Quota, _ slot: borrowing SlotRecord, _ phone: borrowing PhoneRecord,
        _ account: borrowing AccountRecord, _ asker: Asker,
        _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> LimitCheck {
        guard let former = openChallenge(in: slot, m.assurance, caller, context, &state),
            former.challenge.phone == m.phone
        else {
            return gate(phone, account, asker, resending: nil, replacing: nil, context.now)
        }
        if context.now < resendAt(former.challenge, phone, asker.purpose) { return LimitCheck() }
        return sendCheck(former.challenge, former.id, phone, account, asker, context.now).check
    }

    /// What each budget has left; the three sums are over those that are enforced.
    private func left(
        _ phone: borrowing PhoneRecord, _ account: borrowing AccountRecord, _ asker: Asker, _ now: UInt64
    ) -> Quota.Reply {
        var reply = Quota.Reply()
        (reply.sendsLeftHour, reply.sendsLeftDay, reply.openLeft) = (
            Quota.Reply.unlimited, Quota.Reply.unlimited, Quota.Reply.unlimited
        )
        reply.left = withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { buffer in
            var count = 0
            LimitCheck.eachBudget(
                phone: phone.classes[asker.index], account: account.classes[asker.index],
                phoneTag: asker.phoneIndex.high,
                accountTag: asker.accountIndex.high, opening: true, replacing: nil, tenant: asker.tenant,
                now: now
            ) { limit, mode, room in
                let left = UInt8(clamping: min(room.left, Int(Quota.Reply.unlimited) - 1))
                buffer[count] = limit.rawValue
                buffer[count + 1] = left
                count += 2
                if mode == .enforce { reply.note(limit, left) }
            }
            return InlineBytes(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        return reply
    }
}

extension Quota.Reply {
    /// The least of the enforced ones.
    fileprivate mutating func note(_ limit: Limit, _ left: UInt8) {
        switch limit {
        case .phoneUnverifiedHour, .phoneTotalHour, .accountUnverifiedHour, .accountTotalHour:
            sendsLeftHour = min(sendsLeftHour, left)
        case .phoneUnverifiedDay, .phoneTotalDay, .accountUnverifiedDay, .accountTotalDay:
            sendsLeftDay = min(sendsLeftDay, left)
        case .phoneOpenChallenges: openLeft = min(openLeft, left)
        // Different phones and accounts: no sum tells of them.
        case .accountPhonesDay, .phoneAccountsDay: break
        case .none, .resendGap, .challengeSends, .phoneVerifyMinute, .failureStreak, .serverLoad,
            .requestRate, .paymentStreak,
            .accountUnblocksDay:
            break
        }
    }
}
