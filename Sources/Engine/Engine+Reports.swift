import LibCrypto
import Wire

/// What couriers and gateways say of messages. States move forward only; the exceptions prove the rule: whatever succeeded late
/// settles a message that was given up.
extension Engine {
    /// A courier's word on a lease. Idempotent: the token names the lease.
    func report<S: State>(_ m: ReportMessage, _ context: BatchContext, _ state: inout S) -> Reply {
        guard let outcome = ReportMessage.Outcome(rawValue: m.outcome), !m.gateway.isTooLong,
            !m.reference.isTooLong,
            !m.reason.isTooLong, !m.currency.isTooLong
        else { return .refused(.unsupportedField) }
        guard var message = readMessage(m.challenge, m.send, &state), message.token == m.token,
            m.token != .zero
        else {
            return .refused(.leaseNotHeld)
        }
        let m = withoutCode(m, &state)
        switch (message.state, outcome) {
        case (.leased, .submitted): settle(&message, .submitted, m, context, &state)
        case (.queued, .submitted), (.failed, .submitted):
            // Said again after the network gave up, it is old.
            if !message.isTaken { settle(&message, .submitted, m, context, &state) }
        case (.leased, .delivered), (.queued, .delivered), (.submitted, .delivered), (.failed, .delivered):
            settle(&message, .delivered, m, context, &state)
        case (.submitted, .undelivered), (.leased, .undelivered):
            undelivered(&message, m, context, &state)
        case (.leased, .permanentFailure):
            message.history.note(m, isFailure: true)
            fail(&message, m.challenge, m.send, context, &state)
        case (.leased, .transientFailure), (.leased, .ambiguous), (.leased, .notSubmitted):
            giveBack(&message, outcome, m, context, &state)
        case (.queued, _), (.submitted, _), (.delivered, _), (.failed, _):
            // Said before, or overtaken by what came later: nothing to do.
            break
        }
        return .empty
    }

    /// What a gateway said later, by its own name for the message.
    func receipt<S: State>(_ m: ReportReceipt, _ context: BatchContext, _ state: inout S) -> Reply {
        guard let outcome = ReportMessage.Outcome(rawValue: m.outcome),
            outcome == .delivered || outcome == .undelivered,
            !m.gateway.isTooLong, !m.reference.isTooLong, !m.reason.isTooLong
        else { return .refused(.unsupportedField) }
        guard let known = readReference(referenceIndex(m.gateway, m.reference), &state),
            let message = readMessage(known.challenge, known.send, &state)
        else { return .refused(.referenceUnknown) }
        // The handset has it, whichever lease brought it there; a failure concerns its own lease alone.
        guard outcome == .delivered || known.token == message.token else { return .empty }
        var said = ReportMessage()
        said.challenge = known.challenge
        said.send = known.send
        said.token = message.token
        said.outcome = m.outcome
        said.gateway = m.gateway
        said.reference = m.reference
        said.reason = m.reason
        return report(said, context, &state)
    }

    private func settle<S: State>(
        _ message: inout OutboxRecord, _ next: OutboxRecord.State, _ m: ReportMessage,
        _ context: BatchContext,
        _ state: inout S
    ) {
        message.state = next
        message.history.note(m, isFailure: false)
        if !message.isTaken { message.history.submittedAt = context.now }
        message.isTaken = true
        message.hasOther = message.hasOther || (m.hasOther ?? 0) != 0
        message.history.settledAt = next == .delivered ? context.now : 0
        write(message, m.challenge, m.send, &state)
        noteSettled(message, m.challenge, m.send)
        remember(m, &state)
        if next == .delivered {
            tell(.codeDelivered, .delivered, m.challenge, m.send, context, &state)
        } else {
            tell(.codeSubmitted, .submitted, m.challenge, m.send, context, &state)
        }
    }

    /// So that ReportReceipt finds the message.
    private func remember<S: State>(_ m: ReportMessage, _ state: inout S) {
        guard !m.gateway.isEmpty, !m.reference.isEmpty else { return }
        let index = referenceIndex(m.gateway, m.reference)
        var reference = ReferenceRecord()
        reference.challenge = m.challenge
        reference.send = m.send
        reference.token = m.token
        if let known = readReference(index, &state), known.challenge == m.challenge, known.send == m.send {
            return
        }
        write(reference, index, &state)
    }

    /// The network gave up. Once, another gateway gets the message, if there is one and time; else it has failed.
    private func undelivered<S: State>(
        _ message: inout OutboxRecord, _ m: ReportMessage, _ context: BatchContext, _ state: inout S
    ) {
        message.history.note(m, isFailure: true)
        if !message.isTaken { message.history.submittedAt = context.now }
        message.isTaken = true
        remember(m, &state)
        let hasOther = message.hasOther || (m.hasOther ?? 0) != 0
        guard hasOther, !message.hasFailedOver, message.attempts < RuleBounds.maxSubmits else {
            return fail(&message, m.challenge, m.send, context, &state)
        }
        message.hasFailedOver = true
        queue(&message, m, at: context.now, &state)
    }

    /// Back to the queue, or over.
    private func giveBack<S: State>(
        _ message: inout OutboxRecord, _ outcome: ReportMessage.Outcome, _ m: ReportMessage,
        _ context: BatchContext,
        _ state: inout S
    ) {
        message.history.note(m, isFailure: true)
        if outcome == .notSubmitted {
            message.attempts -= 1
            return queue(&message, m, at: context.now + RuleBounds.untriedWaitMs, &state)
        }
        guard message.attempts < RuleBounds.maxSubmits else {
            return fail(&message, m.challenge, m.send, context, &state)
        }
        let wait: UInt64 = 1_000 << UInt64(message.attempts - 1)
        // It may be on its way: one more, and no third.
        if outcome == .ambiguous {
            let last = RuleBounds.maxSubmits - 1
            message.writtenOff += last - message.attempts
            message.attempts = last
        }
        queue(&message, m, at: context.now + wait, &state)
    }

    private func queue<S: State>(
        _ message: inout OutboxRecord, _ m: ReportMessage, at time: UInt64, _ state: inout S
    ) {
        message.state = .queued
        message.notBefore = time
        write(message, m.challenge, m.send, &state)
        dueMessages.append(
            MessageKey(
                challenge: m.challenge, send: m.send, tenant: message.tenant, priority: message.priority, notBefore: time))
    }
}
