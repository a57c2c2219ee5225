import Wire

/// Events: every one of a durable change, none of another, in one order for all, each for 30 days of engine time and no longer.
final class EventChecker {
    private let history: History
    /// Engine time before which there was no event.
    private let startMs: UInt64
    /// All events that any subscriber has ever seen, by tenant (0 = the server's own).
    private var seen: [UInt32: [Cursor: EventPush]] = [:]
    private var streams: [ObservedStream] = []
    /// Up to here, by tenant, no event can have expired before a subscriber saw it.
    private var whole: [UInt32: Cursor] = [:]

    init(history: History, startMs: UInt64) {
        self.history = history
        self.startMs = startMs
    }

    /// `PROTOCOL.md` §10: from then on an event of this engine time is gone, and until then it is kept.
    static func end(_ engineTimeMs: UInt64) -> UInt64 { engineTimeMs + 30 * 86_400_000 }

    private func known(_ cursor: Cursor, _ tenant: UInt32) -> EventPush? {
        seen[tenant]?[cursor] ?? seen[0]?[cursor]
    }

    private func name(_ cursor: Cursor) -> String { "\(cursor.sequence).\(cursor.index)" }

    /// A subscription that is being asked for.
    func begin(_ start: Subscribe.Start, after cursor: Cursor, of tenant: UInt32) -> ObservedStream {
        let stream: ObservedStream
        switch start {
        case .now: stream = ObservedStream(tenant: tenant, start: nil, startMs: nil)
        case .oldest: stream = ObservedStream(tenant: tenant, start: .zero, startMs: startMs)
        case .afterCursor:
            let startMs = known(cursor, tenant)?.engineTimeMs
            stream = ObservedStream(tenant: tenant, start: cursor, startMs: startMs)
        }
        streams.append(stream)
        return stream
    }

    /// What Subscribe after the cursor of a known event was answered, between the engine times `sent` and `now`.
    func answered(_ answer: Answer, _ m: Subscribe, of tenant: UInt32, sent: UInt64, now: UInt64) {
        guard m.start == Subscribe.Start.afterCursor.rawValue, let event = known(m.cursor, tenant) else {
            return
        }
        let end = EventChecker.end(event.engineTimeMs)
        switch answer {
        case .refused(let refusal) where refusal.status == .cursorGone && now < end:
            history.violation(
                "the cursor \(name(m.cursor)) of an event that was pushed is gone, \(end - now) ms too early")
        case .subscribed(let reply) where sent >= end && reply.head != m.cursor:
            history.violation(
                "the cursor \(name(m.cursor)) was taken \(sent - end) ms after its event's end: what came after it may be gone"
            )
        default: break
        }
    }

    /// A stream was ended because what it was due next is no longer kept.
    func ended(_ stream: ObservedStream, now: UInt64) {
        guard let lastMs = stream.lastMs, now < EventChecker.end(lastMs) else { return }
        history.violation(
            "Goodbye eventsGone to a subscriber of tenant \(stream.tenant) after \(name(stream.last)), which is still kept"
        )
    }

    func pushed(_ event: EventPush, to stream: ObservedStream, now: UInt64) {
        if event.tenant != 0, event.tenant != stream.tenant {
            history.violation("tenant \(stream.tenant) was told an event of \(event.tenant)")
        }
        if event.cursor <= stream.last {
            history.violation("event \(name(event.cursor)) after \(name(stream.last))")
        }
        let end = EventChecker.end(event.engineTimeMs)
        if now >= end {
            history.violation("event \(name(event.cursor)) was told \(now - end) ms after its end")
        }
        // What lies between is no older than the event before: as long as that one is kept, all of it was still there.
        let reached = whole[stream.tenant] ?? .zero
        if let before = stream.lastMs, stream.last <= reached, now < EventChecker.end(before) {
            whole[stream.tenant] = max(reached, event.cursor)
        }
        stream.receive(event, now: now)
        if stream.creditLeft < 0 { history.violation("more events than the subscriber's credit") }
        if let known = seen[event.tenant]?[event.cursor] {
            if !same(known, event) { history.violation("event \(name(event.cursor)) was told in two ways") }
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
            && a.uid == b.uid && a.assurance == b.assurance && a.shadowLimits == b.shadowLimits
            && a.actor == b.actor && a.reason == b.reason
    }

    /// Some event of the tenant that was pushed to somebody.
    func anyCursor(of tenant: UInt32, _ draw: inout Draw) -> Cursor? {
        let known = streams.filter { $0.tenant == tenant && !$0.received.isEmpty }
        return known.isEmpty ? nil : draw.pick(draw.pick(known).received).cursor
    }

    /// The tenant's events in order, the server's own among them.
    func events(of tenant: UInt32) -> [EventPush] {
        var all = Array((seen[tenant] ?? [:]).values)
        all += (seen[0] ?? [:]).values
        return all.sorted { $0.cursor < $1.cursor }
    }

    /// Nothing in `events(of:)` is missing because it expired before anybody saw it.
    func isWhole(_ tenant: UInt32) -> Bool {
        (whole[tenant] ?? .zero) >= (events(of: tenant).last?.cursor ?? .zero)
    }

    /// At the end: the streams in `complete` have read everything that is kept, from the oldest.
    func finish(complete: [ObservedStream], now: UInt64) {
        let tenants = Set(streams.map(\.tenant))
        let all = Dictionary(uniqueKeysWithValues: tenants.map { ($0, events(of: $0)) })
        for stream in streams {
            let isComplete = complete.contains { $0 === stream }
            let (due, missed) = stream.missing(of: all[stream.tenant] ?? [], endMs: isComplete ? now : nil)
            guard let first = missed.first, let start = stream.start else { continue }
            history.violation(
                "a subscriber of tenant \(stream.tenant) after \(name(start)) missed \(missed.count) of \(due) events, first "
                    + "\(name(first.cursor)) of \(first.engineTimeMs)")
        }
    }
}
