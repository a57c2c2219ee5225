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
        /// The first event of the batch with which it fell behind: nothing came between `cursor` and that, however old `cursor` is by then.
        var firstUnsent = Cursor.zero
        /// Stands in the queue for a page.
        var isQueued = false
    }

    /// Connections with a subscription: pushes don't look at the thousands without.
    private var subscribers: [Connection] = []
    /// Who wants a page, first come first.
    private var hungry: [Connection] = []
    /// Whom the next push reaches first: its bound must not always leave out the same.
    private var firstPushed = 0
    /// The newest durable event.
    private(set) var head = Cursor.zero
    /// The head at start: the last sequence with an event, found by halving, then its last event. Some thirty looks, because a start must not
    /// read millions of events; those that have expired count until they are swept, for the same reason.
    func load(from store: Store) throws {
        var (low, high) = (UInt64(0), store.nextSequence)
        while low < high {
            let middle = high - (high - low) / 2
            var isThere = false
            try scan(store, from: middle) { _ in
                isThere = true
                return false
            }
            if isThere { low = middle } else { high = middle - 1 }
        }
        try scan(store, from: low) { event in
            head = event.cursor
            return true
        }
    }

    private func scan(_ store: Store, from sequence: UInt64, _ body: (EventPush) -> Bool) throws {
        let start = RecordKey(Cursor(epoch: store.epoch, sequence: sequence, index: 0)).withBytes { Array($0) }
        try store.scan(table: Table.event.rawValue, from: start, now: 0) { key, value, _ in
            guard let event = EventRecord.decode(key: key, value: value) else { return true }
            return body(event)
        }
    }

    /// Returns the status of a refusal, or `nil`.
    func subscribe(
        _ message: Subscribe, _ connection: Connection, _ authority: Authority, _ store: Store, now: UInt64
    ) -> Status? {
        guard let start = Subscribe.Start(rawValue: message.start) else { return .unsupportedField }
        guard connection.subscription != nil || hasPlace(for: connection.uid) else { return .overloaded }
        var subscription = Subscription(
            tenant: authority.tenant, cursor: head, credit: UInt32(message.credit), isBehind: false)
        switch start {
        case .now: break
        case .oldest,
            // Before every event.
            .afterCursor where message.cursor == .zero:
            subscription.cursor = .zero
            subscription.isBehind = true
        case .afterCursor:
            guard message.cursor == head || isKept(message.cursor, store, now) else { return .cursorGone }
            subscription.cursor = message.cursor
            subscription.isBehind = message.cursor != head
        }
        if let former = connection.subscription { subscription.isQueued = former.isQueued } else { subscribers.append(connection) }
        connection.subscription = subscription
        return nil
    }

    /// Every event goes to every subscriber of its tenant: one user may not have hundreds.
    private func hasPlace(for uid: UInt32) -> Bool {
        var count = 0
        for subscriber in subscribers where subscriber.uid == uid { count += 1 }
        return count < Bounds.maxSubscribersPerUID
    }

    func remove(_ connection: Connection) {
        guard connection.subscription != nil else { return }
        subscribers.removeAll { $0 === connection }
        hungry.removeAll { $0 === connection }
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
            } catch { store.endProcess(error) }
        }
        return isThere
    }

    /// Whether there is a flow to give credit to.
    func acknowledge(_ message: Acknowledge, _ connection: Connection) -> Bool {
        guard var subscription = connection.subscription else { return false }
        subscription.credit = min(subscription.credit + UInt32(message.credit), 1 << 16)
        connection.subscription = subscription
        return true
    }

    /// The batch's events, now durable, to those who keep up: a bounded number, the others take pages, which hold many events each. Requests
    /// don't wait while thousands of subscribers are told.
    func push(_ events: [EventPush]) {
        guard let first = events.first, let last = events.last else { return }
        head = last.cursor
        firstPushed = subscribers.isEmpty ? 0 : (firstPushed + Bounds.maxPushes) % subscribers.count
        var left = Bounds.maxPushes
        for index in subscribers.indices {
            let connection = subscribers[(firstPushed + index) % subscribers.count]
            // Who is behind is in the queue for a page, or comes there when it reads or gives credit.
            guard var subscription = connection.subscription, !subscription.isBehind, !connection.isClosing else { continue }
            for event in events where event.tenant == subscription.tenant || event.tenant == 0 {
                guard left > 0, subscription.credit > 0, connection.isWritable, !connection.isFull else {
                    subscription.isBehind = true
                    subscription.firstUnsent = first.cursor
                    break
                }
                left -= 1
                subscription.credit -= 1
                subscription.cursor = event.cursor
                connection.send(isHeld: false) { try FieldEncoder.push(event, into: $0) }
            }
            if !subscription.isBehind { subscription.cursor = last.cursor }
            connection.subscription = subscription
            queueForPage(connection)
            connection.flush()
        }
    }

    /// A subscriber that is behind, has credit and reads gets a page when its turn comes.
    func queueForPage(_ connection: Connection) {
        guard wantsPage(connection), connection.subscription?.isQueued == false else { return }
        connection.subscription?.isQueued = true
        hungry.append(connection)
    }

    /// Somebody waits for a page.
    var hasHungry: Bool { !hungry.isEmpty }

    /// Some pages; whether somebody waits for another. After the replies of a turn, which pages must not hold up.
    func sendPages(_ store: Store, now: UInt64) -> Bool {
        let fed = Array(hungry.prefix(Bounds.maxPages))
        hungry.removeFirst(fed.count)
        for connection in fed {
            connection.subscription?.isQueued = false
            pump(connection, store, now: now)
            queueForPage(connection)
            connection.flush()
        }
        return !hungry.isEmpty
    }

    /// Behind, with credit, and reading.
    private func wantsPage(_ connection: Connection) -> Bool {
        guard let subscription = connection.subscription, subscription.isBehind, subscription.credit > 0 else { return false }
        return connection.isWritable && !connection.isClosing
    }

    /// A page for a subscriber that wants one.
    private func pump(_ connection: Connection, _ store: Store, now: UInt64) {
        guard wantsPage(connection), var subscription = connection.subscription else { return }
        let start = subscription.cursor == .zero ? [] : RecordKey(subscription.cursor).withBytes { Array($0) }
        // As long as the event at its place is kept, so are all that come after.
        var isWhole = start.isEmpty
        var looked = 0
        var reachedEnd = true
        do {
            try store.scan(table: Table.event.rawValue, from: start, now: now) { key, value, sequence in
                guard let event = EventRecord.decode(key: key, value: value) else { return true }
                isWhole = isWhole || event.cursor == subscription.cursor || event.cursor == subscription.firstUnsent
                guard isWhole, sequence <= store.syncedSequence else { return false }
                if event.cursor <= subscription.cursor { return true }
                guard looked < Bounds.eventPage, subscription.credit > 0 else {
                    reachedEnd = false
                    return false
                }
                looked += 1
                subscription.cursor = event.cursor
                if event.tenant == subscription.tenant || event.tenant == 0 {
                    subscription.credit -= 1
                    connection.send(isHeld: false) { try FieldEncoder.push(event, into: $0) }
                }
                return true
            }
        } catch { store.endProcess(error) }
        guard isWhole else {
            return connection.close(Goodbye(.eventsGone, "events that this subscriber was due are no longer kept"))
        }
        subscription.isBehind = !reachedEnd
        connection.subscription = subscription
    }
}
