public import Wire

/// What stands in the way of one more message, and when it no longer does.
extension Engine {
    /// What the checks of a send need.
    struct Asker {
        var tenant: TenantPolicy
        var purpose: PurposePolicy
        var phoneIndex: Bytes16
        var accountIndex: Bytes16
        /// Of its class in records.
        var index: Int
    }

    func asker(
        _ tenant: TenantPolicy, _ purpose: PurposePolicy, _ account: AccountBytes, _ phone: PhoneBytes,
        _ assurance: UInt8
    ) -> Asker {
        Asker(
            tenant: tenant, purpose: purpose, phoneIndex: phoneIndex(tenant.number, phone),
            accountIndex: accountIndex(tenant.number, account), index: Int(assurance))
    }

    /// The refusal of a block or of a class that is off; a payment's account has a block of its own.
    /// - Parameter stops: whether the purpose's blocks stop this operation.
    func blocked(
        _ streak: borrowing StreakRecord, _ payments: PaymentStreak?, _ asker: Int, stops: Bool, _ now: UInt64
    ) -> Refusal? {
        var (until, limit) = (streak.classes[asker].blockedUntil, Limit.failureStreak)
        if let payments, payments.blockedUntil > until {
            (until, limit) = (payments.blockedUntil, .paymentStreak)
        }
        if stops, until > now { return Refusal(.blocked, limit: limit, retryAfterMs: until - now) }
        return streak.isOff(asker) ? Refusal(.factorDisabled) : nil
    }

    /// The same for a send.
    func blocked<S: State>(
        _ account: AccountBytes, _ phone: PhoneBytes, _ asker: Asker, _ context: BatchContext,
        _ state: inout S
    ) -> Refusal? {
        let streak = readStreak(streakIndex(asker.tenant.number, account, phone), context.now, &state)
        let payments = asker.purpose.isPayment ? readAccount(asker.accountIndex, &state).payments : nil
        return blocked(
            streak, payments, asker.index, stops: asker.purpose.streak.scope.stopsRequestCode, context.now)
    }

    /// The limits of one more send of `open`, or of a new challenge in the place of `replaced`: the gap and
    /// the sends of a challenge always, the budgets by their modes.
    func gate(
        _ phone: borrowing PhoneRecord, _ account: borrowing AccountRecord, _ asker: Asker,
        resending open: ChallengeRecord?, replacing replaced: Bytes16?, _ now: UInt64
    ) -> LimitCheck {
        var check = LimitCheck()
        let gapEnd = max(
            LimitCheck.gapEnd(phone.classes[asker.index].sends, gapMs: asker.purpose.gapMs),
            open?.resendAt ?? 0)
        check.note(.resendGap, gapEnd > now ? gapEnd - now : 0)
        if let open, open.sendsLeft == 0 {
            check.note(.challengeSends, open.lastSubmit + 1 - min(now, open.lastSubmit))
        }
        LimitCheck.eachBudget(
            phone: phone.classes[asker.index], account: account.classes[asker.index],
            phoneTag: asker.phoneIndex.high,
            accountTag: asker.accountIndex.high, opening: open == nil, replacing: replaced,
            tenant: asker.tenant, now: now
        ) { limit, mode, room in check.note(limit, room.retryAfterMs, mode) }
        return check
    }

    /// When a RequestCode on the key of an open challenge next sends: more of it (`isSame`) or, with too
    /// little of its life left, another.
    func sendCheck(
        _ open: ChallengeRecord, _ id: Bytes16, _ phone: borrowing PhoneRecord,
        _ account: borrowing AccountRecord, _ asker: Asker,
        _ now: UInt64
    ) -> (check: LimitCheck, isSame: Bool) {
        if now <= open.lastSubmit {
            let check = gate(phone, account, asker, resending: open, replacing: nil, now)
            if open.sendsLeft > 0, now + check.retryAfterMs <= open.lastSubmit { return (check, true) }
        }
        var check = gate(phone, account, asker, resending: nil, replacing: id, now)
        if open.resendAt > now { check.note(.resendGap, open.resendAt - now) }
        if open.sendsLeft == 0, now <= open.lastSubmit {
            check.note(.challengeSends, open.lastSubmit + 1 - now)
        }
        return (check, false)
    }

    /// The refusal of a limit, for a request that names no challenge: beyond the request id's life only a new
    /// one can pass.
    func lasting(_ check: LimitCheck, _ requestID: Bytes16, _ now: UInt64) -> Refusal {
        lasting(check.retryAfterMs, check.limit, requestID, now)
    }

    /// The same for any operation: `wait` > 0.
    func lasting(_ wait: UInt64, _ limit: Limit, _ requestID: Bytes16, _ now: UInt64) -> Refusal {
        Refusal(isInTime(requestID, now + wait) ? .limited : .startAnew, limit: limit, retryAfterMs: wait)
    }

    /// The refusal of `RequestRates`, told as the rules tell theirs: a wait that these bytes can't live to see is none.
    public func lasting(_ refusal: Refusal, of request: borrowing Request, now: UInt64) -> Refusal {
        guard refusal.status == .limited, let limit = refusal.limit else { return refusal }
        switch request {
        case .requestCode(let m): return lasting(UInt64(refusal.retryAfterMs), limit, m.requestID, now)
        case .resend(let m): return lasting(UInt64(refusal.retryAfterMs), limit, m.requestID, now)
        case .verify, .cancel, .redeemGrant, .unblock, .status, .quota, .checkGrant, .report, .receipt: return refusal
        }
    }

    /// Whether these bytes may still be sent at `time`.
    func isInTime(_ requestID: Bytes16, _ time: UInt64) -> Bool {
        time <= requestID.timeMs + RuleBounds.maxRequestAgeMs
    }

    /// No further message before it: the later of the challenge's gap and the phone's, which other sessions'
    /// messages extend.
    func resendAt(
        _ challenge: borrowing ChallengeRecord, _ phone: borrowing PhoneRecord, _ purpose: PurposePolicy
    ) -> UInt64 {
        max(
            challenge.resendAt,
            LimitCheck.gapEnd(phone.classes[Int(challenge.asker)].sends, gapMs: purpose.gapMs))
    }

    /// The same for a challenge that was found by its id: once it is over, or its purpose is no longer
    /// configured, what it says itself.
    func resendAt<S: State>(_ challenge: borrowing ChallengeRecord, _ now: UInt64, _ state: inout S) -> UInt64
    {
        guard challenge.state == .open, challenge.expiresAt > now, let tenant = tenant(challenge.tenant),
            let purpose = purpose(challenge.purpose, of: tenant)
        else { return challenge.resendAt }
        return resendAt(challenge, readPhone(phoneIndex(challenge.tenant, challenge.phone), &state), purpose)
    }

    /// Limits in shadow mode would have refused what passed.
    func tellShadows<S: State>(
        _ check: LimitCheck, _ purpose: UInt16, _ challenge: Bytes16, _ subject: Bytes16, _ tenant: UInt32,
        _ requestID: Bytes16,
        _ context: BatchContext, _ state: inout S
    ) {
        guard !check.shadows.isEmpty else { return }
        let refusal = lasting(check.shadow.retryAfterMs, check.shadow.limit, requestID, context.now)
        emit(.requestRefused, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = challenge
            event.subject = subject
            event.status = refusal.statusCode
            event.limit = refusal.limitCode
            event.shadowLimits = check.shadows.bytes
        }
    }
}
