import Wire

/// Collects what limits say of one request: the refusal names the one with the longest wait.
struct LimitCheck {
    private(set) var limit = Limit.none
    private(set) var retryAfterMs: UInt64 = 0

    var passes: Bool { limit == .none }

    /// `retry` = 0: this one passes.
    mutating func note(_ candidate: Limit, _ retry: UInt64) {
        guard retry > 0, limit == .none || retry > retryAfterMs else { return }
        limit = candidate
        retryAfterMs = retry
    }

    /// The refusal that was found, if any.
    var refusal: Refusal? { passes ? nil : Refusal(.limited, limit: limit, retryAfterMs: retryAfterMs) }

    /// All budgets of one phone and one account for one class of askers.
    static func budgets(
        phone: borrowing PhoneRecord.Class, account: borrowing AccountRecord.Class, phoneTag: UInt64, accountTag: UInt64,
        opening: Bool, replacing replaced: Bytes16?, tenant: TenantPolicy, now: UInt64
    ) -> LimitCheck {
        var check = LimitCheck()
        check.budget(
            phone.sends, (.phoneUnverifiedHour, .phoneUnverifiedDay, .phoneTotalHour, .phoneTotalDay), tenant, now)
        check.budget(
            account.sends,
            (.accountUnverifiedHour, .accountUnverifiedDay, .accountTotalHour, .accountTotalDay), tenant, now)
        check.note(
            .accountPhonesDay,
            account.phones.retryAfter(adding: phoneTag, limit: tenant.phonesPerAccountDay, now: now))
        check.note(
            .phoneAccountsDay,
            phone.accounts.retryAfter(adding: accountTag, limit: tenant.accountsPerPhoneDay, now: now))
        if opening {
            check.note(
                .phoneOpenChallenges,
                phone.open.retryAfter(limit: tenant.openPerPhone, replacing: replaced, now: now))
        }
        return check
    }

    /// Milliseconds until the next send may follow the last unverified one.
    static func gap(_ sends: borrowing SendWindow, gapMs: [UInt64], now: UInt64) -> UInt64 {
        guard sends.unverified > 0, !gapMs.isEmpty else { return 0 }
        let end = sends.last + gapMs[min(sends.unverified, gapMs.count) - 1]
        return end > now ? end - now : 0
    }

    private mutating func budget(
        _ sends: borrowing SendWindow, _ names: (Limit, Limit, Limit, Limit), _ tenant: TenantPolicy, _ now: UInt64
    ) {
        let (hour, day) = (RuleBounds.hourMs, RuleBounds.dayMs)
        let unverified = sends.unverified
        note(names.0, sends.retryAfter(limit: tenant.unverifiedPerHour, window: hour, among: unverified, now: now))
        note(names.1, sends.retryAfter(limit: tenant.unverifiedPerDay, window: day, among: unverified, now: now))
        note(names.2, sends.retryAfter(limit: tenant.totalPerHour, window: hour, among: sends.count, now: now))
        note(names.3, sends.retryAfter(limit: tenant.totalPerDay, window: day, among: sends.count, now: now))
    }
}
