import Engine
import SMSText
import Store
import Wire

/// Which messages are due, and which couriers take more. The queue is derived: the outbox in the store is the truth.
package final class CourierDesk {
    private let texts: MessageTexts
    /// Messages that may wait, and whether several tenants share them.
    private let bound: Int
    private let isShared: Bool
    private var due = DueQueue()
    private(set) var ready = CourierRing()
    /// Looks at the outbox that found nothing to lease, two reads each.
    private(set) var looksInVain = 0
    /// What a start has still to read, the last first.
    private var unread: [Unread] = []
    /// The text being rendered.
    private var scratch = MessageTexts.Scratch()

    init(_ settings: ServerSettings) {
        texts = settings.texts
        bound = settings.maxDueMessages
        isShared = settings.tenants.count > 1
    }

    /// Room for one more message of a tenant. Where there are others, it has room while it has no more than what is
    /// left for all: a backlog takes half of the queue, two of them a third each, and whoever else comes finds room.
    func canAccept(_ tenant: UInt32) -> Bool {
        let left = bound - due.count
        return left > 0 && (!isShared || due.count(of: tenant) < left)
    }
    package var waiting: Int { due.count }

    /// At start: what was queued or leased when the server stopped. What the journal had is taken at once; LMDB's rows, of which all but a few
    /// were settled long ago, come in pieces while requests are served: first those whose shoppers still look at the screen.
    func load(from store: Store, now: UInt64) throws {
        try store.scan(table: Table.outbox.rawValue, from: [], now: now, layers: .changed) { key, value, _ in
            take(key, value)
            return true
        }
        let recent = RecordKey(Bytes16(timeMs: now - min(now, Bounds.watchedMs), tailHigh: 0, tailLow: 0), 0).withBytes { Array($0) }
        unread = [Unread(next: [], end: recent), Unread(next: recent, end: [])]
    }

    /// Rows of LMDB's outbox from `next` on, before `end`; empty = the first, the last.
    private struct Unread {
        var next: [UInt8]
        var end: [UInt8]
    }

    /// A start's rows are still being read, and there is room for more.
    var isLoading: Bool { !unread.isEmpty && due.count < bound }

    /// The next piece. A row that was changed since may be taken as it was: a lease looks at it anew, and whoever makes
    /// a message due queues it for its time, which such a row doesn't change.
    func loadMore(from store: Store, now: UInt64) {
        guard isLoading, let part = unread.last else { return }
        var rows = 0
        var next: [UInt8] = []
        do {
            try store.scan(table: Table.outbox.rawValue, from: part.next, now: now, layers: .stored) { key, value, _ in
                if !part.end.isEmpty, !key.lexicographicallyPrecedes(part.end) { return false }
                guard rows < Bounds.outboxPage else {
                    next = Array(key)
                    return false
                }
                rows += 1
                take(key, value)
                return true
            }
        } catch { return endProcess("storage", "\(error)") }
        if next.isEmpty { unread.removeLast() } else { unread[unread.count - 1].next = next }
    }

    private func take(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        guard key.count == 17, let found = Engine.due(value: value) else { return }
        let challenge = Bytes16(
            high: UInt64(bigEndian: key.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        due.putIfAbsent(
            MessageKey(
                challenge: challenge, send: key[16], tenant: found.tenant, priority: found.priority, notBefore: found.notBefore))
    }

    /// Messages that the batch settled, then those that it made due: one that was both may wait for a look in vain, but
    /// is never forgotten.
    private func take(_ engine: Engine) {
        engine.takeSettled { due.remove($0) }
        engine.takeDue { due.put($0) }
    }

    func credit(_ message: LeaseMessages, _ connection: Connection) -> LeaseMessages.Reply {
        connection.courierCredit = min(message.credit, UInt16(Bounds.maxInFlight))
        connection.leaseMs =
            message.leaseMs == 0
            ? Bounds.leaseMs : min(max(UInt64(message.leaseMs), Bounds.leastLeaseMs), Bounds.leaseMs)
        if connection.courierCredit > 0 { ready.append(connection) } else { ready.remove(connection) }
        var reply = LeaseMessages.Reply()
        reply.credit = connection.courierCredit
        reply.leaseMs = UInt32(connection.leaseMs)
        return reply
    }

    func remove(_ connection: Connection) { ready.remove(connection) }

    /// A peer has taken what waited for it: if it is a courier, it takes messages again.
    func reads(_ connection: Connection) {
        if connection.courierCredit > 0, connection.isWritable, !connection.isClosing { ready.append(connection) }
    }

    /// A due message and a courier that would take it.
    func hasWork(now: UInt64) -> Bool {
        due.first(now: now) != nil && nextCourier() != nil
    }

    /// The couriers take turns. One that doesn't read is looked at once: it comes back when it does.
    private func nextCourier() -> Connection? {
        while let first = ready.first {
            if first.isWritable, !first.isClosing { return first }
            ready.remove(first)
        }
        return nil
    }

    /// Leases what is due, in the batch's own commit; the pushes are held for its sync.
    func lease(_ engine: Engine, _ context: BatchContext, _ state: inout StoreState, _ entropy: inout EntropyBlock) {
        take(engine)
        // Those that are over take no room; a queue of them, after a long time without couriers, must not hold up everybody.
        var left = Bounds.maxBatch
        while left > 0, let first = due.first(now: context.now), state.store.canAccept, let courier = nextCourier() {
            due.remove(first)
            left -= 1
            let result = engine.lease(
                first, leaseMs: courier.leaseMs, token: entropy.next().token, context: context, state: &state)
            switch result {
            case .leased(let draft):
                courier.courierCredit -= 1
                ready.remove(courier)
                if courier.courierCredit > 0 { ready.append(courier) }
                var push = draft.push
                push.text = texts.render(draft, &scratch)
                courier.send(isHeld: true) { try FieldEncoder.push(push, into: $0) }
                var leased = first
                leased.notBefore = push.leaseUntilMs
                due.put(leased)
            case .later(let time):
                // A start took it as it had been before.
                looksInVain += 1
                var later = first
                later.notBefore = time
                due.put(later)
            case .gone: looksInVain += 1
            }
        }
    }
}
