import LibCrypto
public import Wire

/// The rules: a pure function of request, records, time and entropy. It owns every number and decision; it knows no clock,
/// random generator, socket, file or log. The only things it keeps between calls are its configuration and scratch memory.
///
/// One thread owns it. `decide` touches keyed records alone and may be run again on the same state with the same result.
public final class Engine {
    let tenants: [TenantPolicy]
    let keys: EngineKeys
    /// Scratch for records on their way in and out.
    let record = RecordBuffer()
    private var newestAccount = NewestIndex<128>()
    private var newestPhone = NewestIndex<16>()

    /// On whose behalf events are made.
    private var actor = Actor()

    /// Events of the batch so far, in order; the server pushes them after the sync.
    public private(set) var events: [EventPush] = []
    /// Messages that this batch made due: the server's courier queue takes them after the sync.
    public internal(set) var dueMessages: [MessageKey] = []
    /// Messages of which this batch has decided that none will be leased again, unless they are made due once more.
    public internal(set) var settledMessages: [MessageKey] = []

    /// - Parameter tenants: checked by the caller: numbers and names are unique.
    public init(tenants: [TenantPolicy], keys: EngineKeys) {
        self.tenants = tenants
        self.keys = keys
        events.reserveCapacity(1_024)
        dueMessages.reserveCapacity(1_024)
        settledMessages.reserveCapacity(1_024)
    }

    /// Forgets the last batch's events and messages.
    public func beginBatch() {
        events.removeAll(keepingCapacity: true)
        dueMessages.removeAll(keepingCapacity: true)
        settledMessages.removeAll(keepingCapacity: true)
    }

    /// Moves the batch's events to `taken`, whose memory serves the next batch.
    public func takeEvents(into taken: inout [EventPush]) {
        taken.removeAll(keepingCapacity: true)
        swap(&events, &taken)
    }

    /// Hands the due messages out: a lease in the same batch takes them at once.
    public func takeDue(_ body: (MessageKey) -> Void) {
        for key in dueMessages { body(key) }
        dueMessages.removeAll(keepingCapacity: true)
    }

    /// Hands out the messages that nobody need look at again.
    public func takeSettled(_ body: (MessageKey) -> Void) {
        for key in settledMessages { body(key) }
        settledMessages.removeAll(keepingCapacity: true)
    }

    /// Decides one request. Writes go to `state`; the reply may leave once they are durable.
    public func decide<S: State>(
        _ request: borrowing Request, caller: Caller, context: BatchContext, entropy: Entropy, state: inout S
    ) -> Reply {
        actor = Actor(uid: caller.uid)
        defer { actor = Actor() }
        let reply = reply(to: request, caller, context, entropy, &state)
        if case .refused(let refusal) = reply { note(refusal, of: request, caller, context, &state) }
        return reply
    }

    private func reply<S: State>(
        to request: borrowing Request, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout S
    ) -> Reply {
        switch request {
        case .requestCode(let message):
            requestCode(message, caller, context, entropy, &state)
        case .resend(let message):
            resend(message, caller, context, &state)
        case .verify(let message):
            verify(message, caller, context, entropy, &state)
        case .cancel(let message):
            cancel(message, caller, context, &state)
        case .status(let message):
            status(message, caller, context, &state)
        case .quota(let message):
            quota(message, caller, context, &state)
        case .checkGrant(let message):
            checkGrant(message, caller, context, &state)
        case .redeemGrant(let message):
            redeemGrant(message, caller, context, &state)
        case .report(let message):
            report(message, context, &state)
        case .receipt(let message):
            receipt(message, context, &state)
        case .unblock(let message):
            unblock(message, caller, context, entropy, &state)
        }
    }

    /// Who asks, as events tell it.
    private struct Actor {
        var uid: UInt32?
        var assurance: UInt8?
    }

    /// What follows is the server's own doing, or a lease's.
    func nobodyActs() { actor = Actor() }

    /// The class of who asks has been learnt: from the request, or from its challenge.
    func act(as asker: UInt8) { if asker <= Assurance.knownDevice.rawValue { actor.assurance = asker } }

    /// The tenant's rules; `nil` for a number that isn't configured.
    public func tenant(_ number: UInt32) -> TenantPolicy? {
        // By index: an iterator copies each on its way.
        for index in tenants.indices where tenants[index].number == number { return tenants[index] }
        return nil
    }

    func purpose(_ number: UInt16, of tenant: TenantPolicy) -> PurposePolicy? {
        let purposes = tenant.purposes
        for index in purposes.indices where purposes[index].number == number { return purposes[index] }
        return nil
    }

    // MARK: events

    /// Appends an event to the batch and its record to the same commit.
    func emit<S: State>(
        _ kind: EventPush.Kind, _ context: BatchContext, _ state: inout S, with fill: (inout EventPush) -> Void
    ) {
        var event = EventPush()
        event.kind = kind.rawValue
        event.cursor = Cursor(epoch: context.epoch, sequence: context.sequence, index: UInt16(events.count))
        event.engineTimeMs = context.now
        event.wallTimeMs = context.wall
        event.uid = actor.uid.map { UInt64($0) }
        event.assurance = actor.assurance
        fill(&event)
        EventRecord.encode(event, into: record)
        state.put(.event, RecordKey(event.cursor), record, expiresAt: context.now + RuleBounds.eventKeepMs)
        events.append(event)
    }

    /// An event of the server's own life, such as its start.
    /// - Parameter count: how many, of what the kind counts.
    public func note<S: State>(
        _ kind: EventPush.Kind, count: UInt64? = nil, context: BatchContext, state: inout S
    ) {
        nobodyActs()
        emit(kind, context, &state) { $0.count = count }
        guard kind == .clockStepped else { return }
        // The next starts mustn't look for that event among millions.
        MarkRecord(timeMs: context.now).encode(into: record)
        // A challenge's record may lie ahead of its making by what a request id may.
        let end = context.now + RuleBounds.maxRequestAgeMs + RuleBounds.challengeRecordMs
        state.put(.mark, RecordKey(Mark.clockStepped), record, expiresAt: end)
    }

    /// Engine milliseconds of the newest `clockStepped` that may matter: no challenge's record is older than a mark that has expired. 0 = none.
    public func clockSteppedMs<S: State>(_ state: inout S) -> UInt64 {
        guard state.read(.mark, RecordKey(Mark.clockStepped), into: record) else { return 0 }
        return MarkRecord(from: record).timeMs
    }

    // MARK: index keys

    /// HMAC(K_index, table ‖ tenant ‖ length ‖ account), cut to 16 bytes.
    func accountIndex(_ tenant: UInt32, _ account: AccountBytes) -> Bytes16 { newestAccount.index(.account, tenant, account, keys.index) }

    /// HMAC(K_index, table ‖ tenant ‖ length ‖ phone), cut to 16 bytes.
    func phoneIndex(_ tenant: UInt32, _ phone: PhoneBytes) -> Bytes16 { newestPhone.index(.phone, tenant, phone, keys.index) }

    /// The one open challenge of (tenant, account, purpose, binding, session).
    func slotIndex(
        _ tenant: UInt32, _ account: AccountBytes, _ purpose: UInt16, _ binding: Bytes32, _ session: Bytes32
    ) -> Bytes16 {
        var mac = keys.index.begin()
        mac.update(Table.slot.rawValue)
        mac.update(u32: tenant)
        mac.update(account)
        mac.update(u16: purpose)
        mac.update(binding)
        mac.update(session)
        return mac.finish().first16
    }

    /// A gateway's id of a message. Gateways are the host's, so no tenant.
    func referenceIndex(_ gateway: InlineBytes<32>, _ reference: InlineBytes<64>) -> Bytes16 {
        var mac = keys.index.begin()
        mac.update(Table.reference.rawValue)
        mac.update(gateway)
        mac.update(reference)
        return mac.finish().first16
    }

    /// The streak of (tenant, account, phone).
    func streakIndex(_ tenant: UInt32, _ account: AccountBytes, _ phone: PhoneBytes) -> Bytes16 {
        var mac = keys.index.begin()
        mac.update(Table.streak.rawValue)
        mac.update(u32: tenant)
        mac.update(account)
        mac.update(phone)
        return mac.finish().first16
    }

    func key(_ index: Bytes16) -> RecordKey { RecordKey(index: keys.indexKeyID, index) }
}

/// The index key that was made last: what a request is counted on (`rateKeys`) and what it is decided by are the same.
private struct NewestIndex<let capacity: Int> {
    private var tenant: UInt32 = 0
    private var value = InlineBytes<capacity>()
    private var index: Bytes16?

    mutating func index(_ table: Table, _ tenant: UInt32, _ value: InlineBytes<capacity>, _ key: MACKey) -> Bytes16 {
        if let index, tenant == self.tenant, value == self.value { return index }
        var mac = key.begin()
        mac.update(table.rawValue)
        mac.update(u32: tenant)
        mac.update(value)
        let index = mac.finish().first16
        (self.tenant, self.value, self.index) = (tenant, value, index)
        return index
    }
}

/// Names a message: its challenge and which send of it.
public struct MessageKey: Sendable, Hashable {
    /// The challenge.
    public var challenge: Bytes16
    /// From 1.
    public var send: UInt8
    /// Its challenge's.
    public var tenant: UInt32
    /// Its purpose's, when it was queued.
    public var priority: MessagePriority
    /// No lease before it, engine milliseconds.
    public var notBefore: UInt64

    /// All five.
    public init(challenge: Bytes16, send: UInt8, tenant: UInt32, priority: MessagePriority = .normal, notBefore: UInt64) {
        self.challenge = challenge
        self.send = send
        self.tenant = tenant
        self.priority = priority
        self.notBefore = notBefore
    }
}
