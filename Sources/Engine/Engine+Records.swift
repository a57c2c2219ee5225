import Wire

/// Typed reads and writes. A record that can't be decoded is a storage doubt, so it ends the process (P6).
extension Engine {
    func readChallenge<S: State>(_ id: Bytes16, _ state: inout S) -> ChallengeRecord? {
        guard state.read(.challenge, RecordKey(id), into: record) else { return nil }
        guard let challenge = ChallengeRecord(from: record) else {
            preconditionFailure("a challenge record can't be decoded: the data folder is of another version or damaged")
        }
        return challenge
    }

    func write<S: State>(_ challenge: borrowing ChallengeRecord, _ id: Bytes16, _ state: inout S) {
        challenge.encode(into: record)
        state.put(.challenge, RecordKey(id), record, expiresAt: id.timeMs + RuleBounds.challengeRecordMs)
    }

    func readPhone<S: State>(_ index: Bytes16, _ state: inout S) -> PhoneRecord {
        guard state.read(.phone, key(index), into: record) else { return PhoneRecord() }
        let phone = PhoneRecord(from: record)
        precondition(record.isWhole, "a phone record can't be decoded: the data folder is of another version or damaged")
        return phone
    }

    func write<S: State>(_ phone: borrowing PhoneRecord, _ index: Bytes16, _ now: UInt64, _ state: inout S) {
        phone.encode(into: record)
        state.put(.phone, key(index), record, expiresAt: now + RuleBounds.dayMs)
    }

    /// A new one when there is none.
    func readAccount<S: State>(_ index: Bytes16, _ state: inout S) -> AccountRecord {
        guard state.read(.account, key(index), into: record) else { return AccountRecord() }
        let account = AccountRecord(from: record)
        precondition(record.isWhole, "an account record can't be decoded: the data folder is of another version or damaged")
        return account
    }

    /// The account and its subject's record end together; both are renewed before an event could outlive them.
    func write<S: State>(
        _ account: borrowing AccountRecord, _ index: Bytes16, of tenant: UInt32, _ name: AccountBytes, _ now: UInt64,
        _ state: inout S
    ) {
        var keptUntil = account.keptUntil
        if keptUntil < now + RuleBounds.subjectRenewMs {
            keptUntil = now + RuleBounds.subjectKeepMs
            record.clear()
            record.put(UInt8(1))
            record.put(tenant)
            record.put(name)
            state.put(.subject, RecordKey(account.subject), record, expiresAt: keptUntil)
        }
        account.encode(into: record)
        state.put(.account, key(index), record, expiresAt: keptUntil)
    }

    /// The subject that an event will name, kept for as long as the event.
    func subject<S: State>(
        of index: Bytes16, _ tenant: UInt32, _ name: AccountBytes, _ now: UInt64, _ state: inout S
    ) -> Bytes16 {
        let account = readAccount(index, &state)
        guard !account.isNew else { return .zero }
        if account.keptUntil < now + RuleBounds.subjectRenewMs { write(account, index, of: tenant, name, now, &state) }
        return account.subject
    }

    func readStreak<S: State>(_ index: Bytes16, _ now: UInt64, _ state: inout S) -> StreakRecord {
        guard state.read(.streak, key(index), into: record) else { return StreakRecord() }
        guard var streak = StreakRecord(from: record, now: now) else {
            preconditionFailure("a streak record can't be decoded: the data folder is of another version or damaged")
        }
        streak.age(now: now)
        return streak
    }

    /// One that remembers nothing is no record.
    func write<S: State>(_ streak: borrowing StreakRecord, _ index: Bytes16, _ state: inout S) {
        guard !streak.isEmpty else { return state.delete(.streak, key(index)) }
        streak.encode(into: record)
        state.put(.streak, key(index), record, expiresAt: streak.expiresAt)
    }

    func readSlot<S: State>(_ index: Bytes16, _ state: inout S) -> SlotRecord {
        guard state.read(.slot, key(index), into: record) else { return SlotRecord() }
        guard record.count == SlotRecord.firstSchemaBytes else {
            guard let slot = SlotRecord(from: record) else {
                preconditionFailure("a slot record can't be decoded: the data folder is of another version or damaged")
            }
            return slot
        }
        // Of the first schema: the challenge itself tells whose it is.
        var slot = SlotRecord()
        slot.expiresAt = record.expiresAt
        let id = record.bytes16()
        if let challenge = readChallenge(id, &state) { slot.ids[Int(challenge.asker)] = id }
        return slot
    }

    func write<S: State>(_ slot: borrowing SlotRecord, _ index: Bytes16, _ state: inout S) {
        guard !slot.isEmpty else { return state.delete(.slot, key(index)) }
        slot.encode(into: record)
        state.put(.slot, key(index), record, expiresAt: slot.expiresAt)
    }

    func readGrant<S: State>(_ id: Bytes16, _ state: inout S) -> GrantRecord? {
        guard state.read(.grant, RecordKey(id), into: record) else { return nil }
        guard let grant = GrantRecord(from: record) else {
            preconditionFailure("a grant record can't be decoded: the data folder is of another version or damaged")
        }
        return grant
    }

    func write<S: State>(_ grant: borrowing GrantRecord, _ id: Bytes16, _ state: inout S) {
        grant.encode(into: record)
        // Long enough for any retry of the RedeemGrant that spent it.
        state.put(.grant, RecordKey(id), record, expiresAt: grant.expiresAt + RuleBounds.maxRequestAgeMs)
    }

    func readMessage<S: State>(_ challenge: Bytes16, _ send: UInt8, _ state: inout S) -> OutboxRecord? {
        guard state.read(.outbox, RecordKey(challenge, send), into: record) else { return nil }
        guard let message = OutboxRecord(from: record) else {
            preconditionFailure("an outbox record can't be decoded: the data folder is of another version or damaged")
        }
        return message
    }

    func write<S: State>(
        _ message: borrowing OutboxRecord, _ challenge: Bytes16, _ send: UInt8, _ state: inout S
    ) {
        message.encode(into: record)
        state.put(
            .outbox, RecordKey(challenge, send), record, expiresAt: challenge.timeMs + RuleBounds.challengeRecordMs)
    }

    func readReference<S: State>(_ index: Bytes16, _ state: inout S) -> ReferenceRecord? {
        guard state.read(.reference, key(index), into: record) else { return nil }
        guard let reference = ReferenceRecord(from: record) else {
            preconditionFailure(
                "a reference record can't be decoded: the data folder is of another version or damaged")
        }
        return reference
    }

    /// It ends with the message that it names.
    func write<S: State>(_ reference: borrowing ReferenceRecord, _ index: Bytes16, _ state: inout S) {
        reference.encode(into: record)
        state.put(
            .reference, key(index), record,
            expiresAt: reference.challenge.timeMs + RuleBounds.challengeRecordMs)
    }

    /// A new message of `challenge`, due at once.
    func queueMessage<S: State>(
        _ challenge: borrowing ChallengeRecord, _ id: Bytes16, _ priority: MessagePriority, _ now: UInt64, _ state: inout S
    ) {
        var message = OutboxRecord()
        message.priority = priority
        message.tenant = challenge.tenant
        message.generation = challenge.generation
        message.notBefore = now
        message.history.queuedAt = now
        message.expiresAt = challenge.expiresAt
        write(message, id, challenge.sends, &state)
        dueMessages.append(
            MessageKey(challenge: id, send: challenge.sends, tenant: message.tenant, priority: priority, notBefore: now))
    }

    /// Messages of a challenge that is over are dead: none is leased any more.
    func killMessages<S: State>(_ challenge: borrowing ChallengeRecord, _ id: Bytes16, _ state: inout S) {
        for send in 1...max(1, challenge.sends) {
            guard let message = readMessage(id, send, &state) else { continue }
            if message.state == .queued { state.delete(.outbox, RecordKey(id, send)) }
            if message.state == .queued || message.state == .leased { noteSettled(message, id, send) }
        }
    }

    /// The record exists, is this tenant's, and its epoch and start are still valid.
    func isValid(_ challenge: ChallengeRecord, _ caller: Caller, _ context: BatchContext) -> Bool {
        challenge.tenant == caller.tenant && challenge.epoch == context.epoch
            && challenge.createdAt >= context.voidBefore
    }

    /// - Parameter resendAt: the later of the challenge's gap and the phone's, engine milliseconds.
    func reply(
        _ c: borrowing ChallengeRecord, _ id: Bytes16, _ how: ChallengeReply.Disposition, resendAt: UInt64
    ) -> Reply {
        var reply = ChallengeReply()
        reply.challenge = id
        reply.disposition = how.rawValue
        reply.codeLength = c.codeLength
        reply.alphabet = c.alphabet
        reply.attemptsLeft = c.attemptsLeft
        reply.sendsLeft = c.sendsLeft
        reply.expiresAtMs = c.expiresAt
        reply.resendAtMs = resendAt
        return .challenge(reply)
    }
}
