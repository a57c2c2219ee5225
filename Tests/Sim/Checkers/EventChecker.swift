import Wire

/// What one subscription must be: the run of the tenant's events after `start`, in order, without a gap.
final class ObservedStream {
    let tenant: UInt32
    /// Exclusive; `nil` until the reply to Subscribe has told the head.
    var start: Cursor?
    var last: Cursor
    var received: [Cursor] = []
    /// With the oldest kept: what has expired may be missing in front.
    var isFromOldest = false
    var creditLeft = 0

    init(tenant: UInt32, start: Cursor?) {
        self.tenant = tenant
        self.start = start
        last = start ?? .zero
    }
}

/// Events: every one of a durable change, none of another, in one order for all.
final class EventChecker {
    private let history: History
    /// All events that any subscriber has ever seen, by tenant (0 = the server's own).
    private var seen: [UInt32: [Cursor: EventPush]] = [:]
    private var streams: [ObservedStream] = []
    /// The server may have dropped events by age: what is missing then is no violation.
    var hasExpired = false

    init(history: History) { self.history = history }

    func begin(_ stream: ObservedStream) { streams.append(stream) }

    func pushed(_ event: EventPush, to stream: ObservedStream) {
        if event.tenant != 0, event.tenant != stream.tenant {
            history.violation("tenant \(stream.tenant) was told an event of \(event.tenant)")
        }
        if event.cursor <= stream.last {
            history.violation(
                "event \(event.cursor.sequence).\(event.cursor.index) after \(stream.last.sequence).\(stream.last.index)"
            )
        }
        stream.last = event.cursor
        stream.received.append(event.cursor)
        stream.creditLeft -= 1
        if stream.creditLeft < 0 { history.violation("more events than the subscriber's credit") }
        if let known = seen[event.tenant]?[event.cursor] {
            if !same(known, event) {
                history.violation("event \(event.cursor.sequence).\(event.cursor.index) was told in two ways")
            }
        } else {
            seen[event.tenant, default: [:]][event.cursor] = event
        }
    }

    private func same(_ a: EventPush, _ b: EventPush) -> Bool {
        a.kind == b.kind && a.engineTimeMs == b.engineTimeMs && a.tenant == b.tenant
            && a.challenge == b.challenge
            && a.subject == b.subject && a.status == b.status && a.limit == b.limit
            && a.attemptsLeft == b.attemptsLeft
            && a.wallTimeMs == b.wallTimeMs && a.purpose == b.purpose && a.count == b.count
    }

    /// Some event of the tenant that was pushed to somebody.
    func anyCursor(of tenant: UInt32, _ draw: inout Draw) -> Cursor? {
        let known = streams.filter { $0.tenant == tenant && !$0.received.isEmpty }
        return known.isEmpty ? nil : draw.pick(draw.pick(known).received)
    }

    /// The tenant's events in order, the server's own among them.
    func events(of tenant: UInt32) -> [EventPush] {
        var all = Array((seen[tenant] ?? [:]).values)
        all += (seen[0] ?? [:]).values
        return all.sorted { $0.cursor < $1.cursor }
    }

    /// At the end: `last` streams read everything that is kept, from the oldest.
    func finish(complete: [ObservedStream]) {
        for stream in complete {
            let all = events(of: stream.tenant).map(\.cursor)
            let told = Set(stream.received)
            for cursor in all where !told.contains(cursor) {
                if hasExpired { continue }
                history.violation(
                    "event \(cursor.sequence).\(cursor.index) was pushed, and is not in the journal's history"
                )
            }
        }
        for stream in streams {
            guard let start = stream.start, !(hasExpired && (stream.isFromOldest || start == .zero)) else {
                continue
            }
            let due = events(of: stream.tenant).map(\.cursor).filter { $0 > start && $0 <= stream.last }
            if due != stream.received {
                history.violation(
                    "a subscriber of tenant \(stream.tenant) after \(start.sequence).\(start.index) missed "
                        + "\(due.count - stream.received.count) of \(due.count) events")
            }
        }
    }
}
