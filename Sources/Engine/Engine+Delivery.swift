import LibCrypto
public import Wire

/// Leases of messages.
extension Engine {
    /// What a message says, without its wording: the server renders the text.
    public struct MessageDraft: Sendable {
        /// All of the push but `text`.
        public var push: MessagePush
        /// The code; a secret on its way out.
        public var code: CodeBytes
        /// Life left, for "expires in N minutes".
        public var lifeMs: UInt64
        /// Last line `@host #code`; empty = none.
        public var webHost: InlineBytes<60>
        /// Last line of an Android app; empty = none.
        public var androidHash: InlineBytes<11>
        /// The request's language; empty = the tenant's.
        public var locale: InlineBytes<35>
    }

    /// What became of a due message.
    public enum LeaseResult: Sendable {
        /// Leased in this commit: push after the sync.
        case leased(MessageDraft)
        /// Not due before this engine time, for which it was queued when that was decided.
        case later(UInt64)
        /// Over: sent, dead, or too late to send.
        case gone
    }

    /// Leases a message for `leaseMs`, with `token` random. An expired lease is given again, up to three times.
    public func lease<S: State>(
        _ key: MessageKey, leaseMs: UInt64, token: Bytes16, context: BatchContext, state: inout S
    ) -> LeaseResult {
        nobodyActs()
        let now = context.now
        guard var message = readMessage(key.challenge, key.send, &state),
            let challenge = readChallenge(key.challenge, &state), challenge.epoch == context.epoch
        else { return .gone }
        switch message.state {
        case .queued:
            if message.notBefore > now { return .later(message.notBefore) }
        case .leased:
            if message.leaseUntil > now { return .later(message.leaseUntil) }
        case .submitted, .delivered, .failed:
            return .gone
        }
        guard challenge.state == .open, challenge.generation == message.generation,
            challenge.sends == key.send,
            challenge.createdAt >= context.voidBefore
        else { return .gone }
        guard message.attempts < RuleBounds.maxSubmits, now <= challenge.lastSubmit else {
            fail(&message, key.challenge, key.send, context, &state)
            return .gone
        }
        // A reload or restart may have taken the tenant or the purpose out of the configuration: nobody knows the message's words any more.
        guard let tenant = tenant(challenge.tenant), purpose(challenge.purpose, of: tenant) != nil else {
            fail(&message, key.challenge, key.send, context, &state)
            return .gone
        }
        message.state = .leased
        message.attempts += 1
        message.token = token
        message.leaseUntil = now + leaseMs
        message.isTaken = false
        message.history.leasedAt = now
        write(message, key.challenge, key.send, &state)

        var push = MessagePush()
        push.challenge = key.challenge
        push.send = key.send
        push.token = token
        push.attempt = message.attempts
        push.leaseUntilMs = message.leaseUntil
        push.expiresAtMs = challenge.lastSubmit
        push.engineTimeMs = now
        push.idempotencyKey = tag16(key)
        push.tenant = challenge.tenant
        push.purpose = challenge.purpose
        push.phone = challenge.phone
        push.lastGateway = message.history.failedGateway
        return .leased(
            MessageDraft(
                push: push, code: CodeGenerator.code(of: challenge, id: key.challenge, key: keys.code),
                lifeMs: challenge.expiresAt - now, webHost: challenge.webHost,
                androidHash: challenge.androidHash,
                locale: challenge.locale))
    }

    /// The same for every lease of one message, and no help in guessing a challenge id.
    private func tag16(_ key: MessageKey) -> Bytes16 {
        var mac = keys.id.begin()
        mac.update(key.challenge)
        mac.update(key.send)
        return mac.finish().first16
    }

    /// The message is given up; a late success may still settle it.
    func fail<S: State>(
        _ message: inout OutboxRecord, _ challenge: Bytes16, _ send: UInt8, _ context: BatchContext,
        _ state: inout S
    ) {
        message.state = .failed
        message.history.settledAt = context.now
        write(message, challenge, send, &state)
        noteSettled(message, challenge, send)
        tell(.deliveryFailed, .failed, challenge, send, context, &state)
    }

    /// Nobody need look at it when its lease would have ended.
    func noteSettled(_ message: borrowing OutboxRecord, _ challenge: Bytes16, _ send: UInt8) {
        settledMessages.append(
            MessageKey(
                challenge: challenge, send: send, tenant: message.tenant, priority: message.priority, notBefore: message.leaseUntil))
    }

    /// The challenge shows its newest message's delivery; an event says so.
    func tell<S: State>(
        _ kind: EventPush.Kind, _ delivery: StatusRequest.Delivery, _ id: Bytes16, _ send: UInt8,
        _ context: BatchContext, _ state: inout S
    ) {
        guard var challenge = readChallenge(id, &state) else { return }
        // Never one of another epoch: written again it would bear this one's number, and be open once more.
        if challenge.sends == send, challenge.epoch == context.epoch {
            challenge.delivery = delivery.rawValue
            write(challenge, id, &state)
        }
        let subject = subject(
            of: accountIndex(challenge.tenant, challenge.account), challenge.tenant, challenge.account,
            context.now, &state)
        act(as: challenge.asker)
        let (tenant, purpose) = (challenge.tenant, challenge.purpose)
        emit(kind, context, &state) { event in
            event.tenant = tenant
            event.purpose = purpose
            event.challenge = id
            event.subject = subject
        }
    }

    /// From a scan of the outbox at start: whether and when a stored message is due, and whose it is.
    public static func due(
        value: UnsafeRawBufferPointer
    ) -> (notBefore: UInt64, priority: MessagePriority, tenant: UInt32)? {
        guard value.count <= RecordBuffer.capacity else { return nil }
        let record = RecordBuffer()
        _ = record.fill { buffer in
            buffer.copyMemory(from: value)
            return value.count
        }
        guard let message = OutboxRecord(from: record) else { return nil }
        switch message.state {
        case .queued: return (message.notBefore, message.priority, message.tenant)
        case .leased: return (message.leaseUntil, message.priority, message.tenant)
        case .submitted, .delivered, .failed: return nil
        }
    }
}
