public import Wire

/// Tries leave a trace: the refusal of a write is an event in the same commit (OWASP ASVS 16.3.3), unless so
/// many came lately that they are counted. Unknown, foreign and wrong-session ids cost the same work and are
/// told alike, so that time tells nothing.
extension Engine {
    func note<S: State>(
        _ refusal: Refusal, of request: borrowing Request, _ caller: Caller, _ context: BatchContext,
        _ state: inout S
    ) {
        guard !caller.isCounted, let status = refusal.status, status.isTold else { return }
        switch request {
        case .requestCode(let m):
            let id = status == .requestIdConflict ? challengeID(m.requestID, caller.tenant) : .zero
            tell(refusal, m.purpose, id, m.account, caller, context, &state)
        case .resend(let m): tell(refusal, onChallenge: m.challenge, caller, context, &state)
        case .verify(let m): tell(refusal, onChallenge: m.challenge, caller, context, &state)
        case .cancel(let m): tell(refusal, onChallenge: m.challenge, caller, context, &state)
        case .redeemGrant(let m):
            let challenge = genuineGrant(m.grant, caller, context, &state)?.challenge ?? .zero
            tell(refusal, m.purpose, challenge, m.account, caller, context, &state)
        case .unblock(let m): tell(refusal, 0, .zero, m.account, caller, context, &state)
        case .status, .quota, .checkGrant, .report, .receipt: break
        }
    }

    /// About a challenge that the caller named; the id is told as it came, whether it is known or not.
    private func tell<S: State>(
        _ refusal: Refusal, onChallenge id: Bytes16, _ caller: Caller, _ context: BatchContext,
        _ state: inout S
    ) {
        var challenge = readChallenge(id, &state) ?? ChallengeRecord()
        if challenge.tenant != caller.tenant { challenge = ChallengeRecord() }
        tell(refusal, challenge.purpose, id, challenge.account, caller, context, &state)
    }

    private func tell<S: State>(
        _ refusal: Refusal, _ purpose: UInt16, _ challenge: Bytes16, _ account: AccountBytes,
        _ caller: Caller,
        _ context: BatchContext, _ state: inout S
    ) {
        let subject = subject(
            of: accountIndex(caller.tenant, account), caller.tenant, account, context.now, &state)
        emit(.requestRefused, context, &state) { event in
            event.tenant = caller.tenant
            event.purpose = purpose
            event.challenge = challenge
            event.subject = subject
            event.status = refusal.statusCode
            event.limit = refusal.limitCode
        }
    }
}

extension Status {
    /// A write's refusal that may be a try to get past a rule: told by an event. The others are a caller's
    /// mistakes, or the server's own state.
    public var isTold: Bool {
        switch self {
        case .assuranceTooLow, .requestIdConflict, .blocked, .factorDisabled, .limited, .startAnew,
            .challengeNotOpen, .alreadyVerified,
            .grantInvalid:
            true
        case .done, .unsupportedOperation, .unsupportedField, .notPermitted, .draining, .overloaded,
            .unknownPurpose, .invalidAccount,
            .invalidPhone, .invalidSession, .invalidCode, .requestTooOld, .requestFromFuture, .quarantined,
            .wrongCode, .leaseNotHeld,
            .cursorGone, .undeliverable, .referenceUnknown, .unknown:
            false
        }
    }
}
