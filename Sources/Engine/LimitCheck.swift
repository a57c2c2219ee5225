import Wire

/// Collects what limits say of one request: the refusal names the one with the longest wait. Limits in shadow
/// mode refuse nothing; all of them that would have are remembered.
struct LimitCheck {
    private(set) var limit = Limit.none
    private(set) var retryAfterMs: UInt64 = 0
    /// What the limits in shadow mode say: all that would refuse, and the one with the longest wait.
    private(set) var shadows = LimitSet()
    private(set) var shadow = (limit: Limit.none, retryAfterMs: UInt64(0))

    var passes: Bool { limit == .none }

    /// `retry` = 0: this one passes.
    mutating func note(_ candidate: Limit, _ retry: UInt64, _ mode: LimitMode = .enforce) {
        guard retry > 0 else { return }
        switch mode {
        case .off: return
        case .shadow:
            shadows.insert(candidate)
            if shadow.limit == .none || retry > shadow.retryAfterMs { shadow = (candidate, retry) }
        case .enforce:
            guard limit == .none || retry > retryAfterMs else { return }
            limit = candidate
            retryAfterMs = retry
        }
    }

    /// What one limit says of one more: how many it has left, and the milliseconds until it has one.
    struct Room {
        var left: Int
        var retryAfterMs: UInt64
    }

    /// Calls `body` with each budget of one phone and one account for one class of askers, but those that are
    /// off: what a send is checked against and what Quota tells are the same.
    @inline(__always)
    static func eachBudget(
        phone: borrowing PhoneRecord.Class, account: borrowing AccountRecord.Class, phoneTag: UInt64,
        accountTag: UInt64,
        opening: Bool, replacing replaced: Bytes16?, tenant: TenantPolicy, now: UInt64,
        _ body: (Limit, LimitMode, Room) -> Void
    ) {
        let (hour, day) = (RuleBounds.hourMs, RuleBounds.dayMs)
        let modes = tenant.modes
        func sends(
            _ limit: Limit, _ window: borrowing SendWindow, _ most: Int, _ length: UInt64, _ newest: Int
        ) {
            guard modes[limit] != .off else { return }
            body(limit, modes[limit], window.room(limit: most, window: length, among: newest, now: now))
        }
        let (ofPhone, ofAccount) = (phone.sends.unverified, account.sends.unverified)
        sends(.phoneUnverifiedHour, phone.sends, tenant.unverifiedPerHour, hour, ofPhone)
        sends(.phoneUnverifiedDay, phone.sends, tenant.unverifiedPerDay, day, ofPhone)
        sends(.phoneTotalHour, phone.sends, tenant.totalPerHour, hour, phone.sends.count)
        sends(.phoneTotalDay, phone.sends, tenant.totalPerDay, day, phone.sends.count)
        sends(.accountUnverifiedHour, account.sends, tenant.unverifiedPerHour, hour, ofAccount)
        sends(.accountUnverifiedDay, account.sends, tenant.unverifiedPerDay, day, ofAccount)
        sends(.accountTotalHour, account.sends, tenant.totalPerHour, hour, account.sends.count)
        sends(.accountTotalDay, account.sends, tenant.totalPerDay, day, account.sends.count)
        if modes[.accountPhonesDay] != .off {
            let room = account.phones.room(adding: phoneTag, limit: tenant.phonesPerAccountDay, now: now)
            body(.accountPhonesDay, modes[.accountPhonesDay], room)
        }
        if modes[.phoneAccountsDay] != .off {
            let room = phone.accounts.room(adding: accountTag, limit: tenant.accountsPerPhoneDay, now: now)
            body(.phoneAccountsDay, modes[.phoneAccountsDay], room)
        }
        if opening, modes[.phoneOpenChallenges] != .off {
            let room = phone.open.room(limit: tenant.openPerPhone, replacing: replaced, now: now)
            body(.phoneOpenChallenges, modes[.phoneOpenChallenges], room)
        }
    }

    /// Engine milliseconds before which nothing may follow the last unverified send.
    static func gapEnd(_ sends: borrowing SendWindow, gapMs: [UInt64]) -> UInt64 {
        guard sends.unverified > 0, !gapMs.isEmpty else { return 0 }
        return sends.last + gapMs[min(sends.unverified, gapMs.count) - 1]
    }
}
