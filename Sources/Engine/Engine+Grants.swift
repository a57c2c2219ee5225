import Wire

/// CheckGrant and RedeemGrant. A grant that isn't right in every respect is `grantInvalid`, whatever is wrong with it.
extension Engine {
    func checkGrant<S: State>(
        _ m: CheckGrant, _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> Reply {
        guard let grant = genuineGrant(m.grant, caller, context, &state),
            isFor(grant, m.purpose, m.account, m.session), grant.redeemedBy == .zero, grant.expiresAt > context.now
        else { return .refused(.grantInvalid) }
        return reply(grant)
    }

    func redeemGrant<S: State>(
        _ m: RedeemGrant, _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> Reply {
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        guard var grant = genuineGrant(m.grant, caller, context, &state) else { return .refused(.grantInvalid) }
        act(as: grant.asker)
        let digest = digest(m, caller)
        if grant.redeemedBy != .zero, grant.redeemedBy == m.requestID {
            return grant.redeemDigest == digest ? reply(grant, isRepeated: true) : .refused(.requestIdConflict)
        }
        guard isFor(grant, m.purpose, m.account, m.session), grant.redeemedBy == .zero,
            grant.expiresAt > context.now
        else { return .refused(.grantInvalid) }
        grant.redeemedBy = m.requestID
        grant.redeemDigest = digest
        write(grant, m.grant.head, &state)
        emit(.grantRedeemed, context, &state) { event in
            event.tenant = grant.tenant
            event.purpose = grant.purpose
            event.challenge = grant.challenge
            event.subject = grant.subject
        }
        return reply(grant)
    }

    /// The record of a token that is genuine and this tenant's; what it opens, expiry and redemption are the caller's to check.
    func genuineGrant<S: State>(
        _ token: Bytes32, _ caller: Caller, _ context: BatchContext, _ state: inout S
    ) -> GrantRecord? {
        let expected = grantMAC(token.head)
        let isGenuine = (expected.high ^ token.tail.high) | (expected.low ^ token.tail.low) == 0
        guard isGenuine, let grant = readGrant(token.head, &state) else { return nil }
        guard grant.epoch == context.epoch, grant.verifiedAt >= context.voidBefore, grant.tenant == caller.tenant
        else { return nil }
        return grant
    }

    private func isFor(
        _ grant: GrantRecord, _ purpose: UInt16, _ account: AccountBytes, _ session: Bytes32
    ) -> Bool {
        grant.purpose == purpose && grant.session == session && grant.account == accountIndex(grant.tenant, account)
    }

    private func reply(_ grant: borrowing GrantRecord, isRepeated: Bool = false) -> Reply {
        var reply = GrantReply()
        reply.verifiedAtMs = grant.verifiedAt
        reply.expiresAtMs = grant.expiresAt
        reply.challenge = grant.challenge
        if isRepeated { reply.repeated = 1 }
        return .grant(reply)
    }
}
