import Engine
import Store
import Wire

/// Subscribers: live pushes, and pages from the store for those who are behind. Only durable events are pushed.
final class EventFeed {
    /// One connection's place in the stream.
    struct Subscription {
        var tenant: UInt32
        /// The last event pushed.
        var cursor: Cursor
        var credit: UInt32
        /// Events after `cursor` were not pushed yet: pages come from the store.
        var isBehind: Bool
    }

    /// Connections with a subscription: pushes don't look at the thousands without.
    private var subscribers: [Connection] = []
    /// The newest durable event.
    private(set) var head = Cursor.zero
    /// Engine time of the newest `clockStepped` that is kept: challenges from before stay void, over restarts too.
    private(set) var clockSteppedMs: UInt64 = 0

    /// The head at start.
    func load(from store: Store, now: UInt64) throws {
        try store.scan(table: Table.event.rawValue, from: [], now: now) { key, value, _ in
            if let event = EventRecord.decode(key: key, value: value) {
                head = event.cursor
                if event.kind == EventPush.Kind.clockStepped.rawValue { clockSteppedMs = event.engineTimeMs }
            }
            return true
        }
    }

    /// Returns the status of a refusal, or `nil`.
    func subscribe(
        _ message: Subscribe, _ connection: Connection, _ authority: Authority, _ store: Store, now: UInt64
    ) -> Status? {
        guard let start = Subscribe.Start(rawValue: message.start) else { return .unsupportedField }
        var subscription = Subscription(
            tenant: authority.tenant, cursor: head, credit: UInt32(message.credit), isBehind: false)
        switch start {
        case .now: break
        case .oldest:
            subscription.cursor = .zero
            subscription.isBehind = true
        case .afterCursor:
            guard message.cursor == head || isKept(message.cursor, store, now) else { return .cursorGone }
            subscription.cursor = message.cursor
            subscription.isBehind = message.cursor != head
        }
        if connection.subscription == nil { subscribers.append(connection) }
        connection.subscription = subscription
        return nil
    }

    func remove(_ connection: Connection) {
        if connection.subscription != nil { subscribers.removeAll { $0 === connection } }
    }

    /// The cursor's own event is still there, so nothing after it has gone.
    private func isKept(_ cursor: Cursor, _ store: Store, _ now: UInt64) -> Bool {
        guard cursor.epoch == store.epoch else { return false }
        var isThere = false
        RecordKey(cursor).withBytes { key in
            do {
                try store.scan(table: Table.event.rawValue, from: Array(key), now: now) { found, _, _ in
                    isThere = found.elementsEqual(key)
                    return false
                }
            } catch { endProcess("storage", "\(error)") }
        }
        return isThere
    }

    func acknowledge(_ message: Acknowledge, _ connection: Connection) {
        guard var subscription = connection.subscription else { return }
        subscription.credit = min(subscription.credit + UInt32(message.credit), 1 << 16)
        connection.subscription = subscription
    }

    /// The batch's events, now durable, to everybody who keeps up.
    func push(_ events: [EventPush]) {
        guard let last = events.last else { return }
        head = last.cursor
        for connection in subscribers {
            guard var subscription = connection.subscription, !connection.isClosing else { continue }
            if !subscription.isBehind {
                for event in events where event.tenant == subscription.tenant || event.tenant == 0 {
                    guard subscription.credit > 0, connection.isWritable, !connection.isFull else {
                        subscription.isBehind = true
                        break
                    }
                    subscription.credit -= 1
                    subscription.cursor = event.cursor
                    connection.send(isHeld: false) { try FieldEncoder.push(event, into: $0) }
                }
                if !subscription.isBehind { subscription.cursor = last.cursor }
            }
            connection.subscription = subscription
            if wantsPage(connection) { connection.batch.enqueue(connection) }
            connection.flush()
        }
    }

    /// Behind, with credit, and reading.
    func wantsPage(_ connection: Connection) -> Bool {
        guard let subscription = connection.subscription, subscription.isBehind, subscription.credit > 0 else { return false }
        return connection.isWritable && !connection.isClosing
    }

    /// A page for a subscriber that wants one.
    func pump(_ connection: Connection, _ store: Store, now: UInt64) {
        guard wantsPage(connection), var subscription = connection.subscription else { return }
        let start = subscription.cursor == .zero ? [] : RecordKey(subscription.cursor).withBytes { Array($0) }
        var pushed = 0
        var reachedEnd = true
        do {
            try store.scan(table: Table.event.rawValue, from: start, now: now) { key, value, sequence in
                guard sequence <= store.syncedSequence else { return false }
                guard let event = EventRecord.decode(key: key, value: value), event.cursor > subscription.cursor else {
                    return true
                }
                guard pushed < Bounds.eventPage, subscription.credit > 0 else {
                    reachedEnd = false
                    return false
                }
                subscription.cursor = event.cursor
                if event.tenant == subscription.tenant || event.tenant == 0 {
                    pushed += 1
                    subscription.credit -= 1
                    connection.send(isHeld: false) { try FieldEncoder.push(event, into: $0) }
                }
                return true
            }
        } catch { endProcess("storage", "\(error)") }
        subscription.isBehind = !reachedEnd
        connection.subscription = subscription
        if !reachedEnd, subscription.credit > 0 { connection.batch.enqueue(connection) }
    }
}
