import Wire

/// Unblock: support ends what wrong codes began, a few times an account and day; whoever talks support into
/// more hands out guesses.
extension Engine {
    func unblock<S: State>(
        _ m: Unblock, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        guard Validation.isText(m.actor), Validation.isText(m.reason) else {
            return .refused(.unsupportedField)
        }
        guard Validation.isAccount(m.account) else { return .refused(.invalidAccount) }
        guard m.phone.isEmpty || Validation.isPhone(m.phone) else { return .refused(.invalidPhone) }
        let now = context.now
        if let status = Validation.age(m.requestID, now: now) { return .refused(status) }
        let index = accountIndex(caller.tenant, m.account)
        var account = readAccount(index, &state)
        let (tag, digest) = (tag(m.requestID, caller.tenant), digest(m, caller).high)
        if let done = account.unblocks.find(tag) {
            return done.digest == digest ? .empty : .refused(.requestIdConflict)
        }
        let wait = account.unblocks.retryAfter(now: now)
        guard wait == 0 else { return .refused(lasting(wait, .accountUnblocksDay, m.requestID, now)) }
        if account.isNew { account.subject = entropy.subject(at: now) }
        account.payments = PaymentStreak()
        account.unblocks.append(UnblockList.Entry(at: now, tag: tag, digest: digest))
        write(account, index, of: caller.tenant, m.account, now, &state)
        if !m.phone.isEmpty { write(StreakRecord(), streakIndex(caller.tenant, m.account, m.phone), &state) }
        let subject = account.subject
        emit(.accountUnblocked, context, &state) { event in
            event.tenant = caller.tenant
            event.subject = subject
            event.actor = m.actor
            event.reason = m.reason
        }
        return .empty
    }
}
