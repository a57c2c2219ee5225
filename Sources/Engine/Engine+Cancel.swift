import Wire

/// Cancel: the shopper gave up, or a mistake was made. Gives back no send and no guess.
extension Engine {
    func cancel<S: State>(_ m: Cancel, _ caller: Caller, _ context: BatchContext, _ state: inout S) -> Reply {
        if let status = Validation.age(m.requestID, now: context.now) { return .refused(status) }
        guard var challenge = readChallenge(m.challenge, &state), isValid(challenge, caller, context),
            challenge.state != .alias, challenge.session == m.session
        else { return .refused(.challengeNotOpen) }
        act(as: challenge.asker)
        let digest = digest(m, caller)
        let tag = tag(m.requestID, caller.tenant)
        if let verdict = challenge.verdicts.find(tag) {
            return verdict.digest == digest.high ? .empty : .refused(.requestIdConflict)
        }
        guard challenge.state == .open, challenge.expiresAt > context.now else { return .refused(.challengeNotOpen) }
        challenge.state = .cancelled
        challenge.verdicts.append(Verdict(tag: tag, digest: digest.high, status: Status.done.rawValue))
        close(challenge, m.challenge, &state)
        let phoneIndex = self.phoneIndex(challenge.tenant, challenge.phone)
        var phone = readPhone(phoneIndex, &state)
        phone.classes[Int(challenge.asker)].open.remove(m.challenge)
        write(phone, phoneIndex, context.now, &state)
        let subject = subject(
            of: accountIndex(challenge.tenant, challenge.account), challenge.tenant, challenge.account, context.now, &state)
        let (tenant, purpose) = (challenge.tenant, challenge.purpose)
        emit(.challengeCancelled, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = m.challenge
            event.subject = subject
        }
        return .empty
    }
}
