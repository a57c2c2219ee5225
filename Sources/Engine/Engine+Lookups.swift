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
        return .status(reply)
    }

    func quota<S: State>(_ m: Quota, _ caller: Caller, _ context: BatchContext, _ state: inout S) -> Reply {
        guard m.assurance <= Assurance.knownDevice.rawValue else { return .refused(.unsupportedField) }
        guard let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant) else {
            return .refused(.unknownPurpose)
        }
        if let status = invalid(m.account, m.phone, m.session, purpose) { return .refused(status) }
        let now = context.now
        let asker = Int(m.assurance)
        let streak = readStreak(streakIndex(tenant.number, m.account, m.phone), &state)
        if streak.total >= purpose.streak.disableAfter { return .refused(.factorDisabled) }
        if streak.blockedUntil[asker] > now, purpose.streak.scope.stopsRequestCode {
            return .refused(.blocked, .failureStreak, retryAfterMs: streak.blockedUntil[asker] - now)
        }
        let phoneIndex = index(.phone, tenant.number, m.phone)
        let accountIndex = index(.account, tenant.number, m.account)
        let phone = readPhone(phoneIndex, &state).classes[asker]
        let account = (readAccount(accountIndex, &state) ?? AccountRecord()).classes[asker]
        let check = LimitCheck.sends(
            phone: phone, account: account, phoneTag: phoneIndex.high, accountTag: accountIndex.high, opening: true,
            replacing: nil, gapMs: purpose.gapMs, tenant: tenant, now: now)
        if !check.passes, tenant.mode == .enforce {
            return .refused(.limited, check.limit, retryAfterMs: check.retryAfterMs)
        }
        var reply = Quota.Reply()
        reply.sendsLeftHour = left(phone.sends, account.sends, tenant.unverifiedPerHour, RuleBounds.hourMs, now)
        reply.sendsLeftDay = left(phone.sends, account.sends, tenant.unverifiedPerDay, RuleBounds.dayMs, now)
        reply.openLeft = UInt8(clamping: tenant.openPerPhone - phone.open.live(now: now))
        return .quota(reply)
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
