import Wire

/// One subscription as its subscriber sees it: the run of the tenant's events after `start`, in order, without a gap.
final class ObservedStream {
    let tenant: UInt32
    /// Exclusive; `nil` until the reply to Subscribe has told the head.
    var start: Cursor?
    var last: Cursor
    /// Engine time of the event at `last`; `nil` where that event is another tenant's or unknown.
    private(set) var lastMs: UInt64?
    /// What came, and the engine time at which it did: no time passes between a page's reading and its arrival.
    private(set) var received: [(cursor: Cursor, at: UInt64)] = []
    var creditLeft = 0

    init(tenant: UInt32, start: Cursor?, startMs: UInt64?) {
        self.tenant = tenant
        self.start = start
        last = start ?? .zero
        lastMs = startMs
    }

    func receive(_ event: EventPush, now: UInt64) {
        last = event.cursor
        lastMs = event.engineTimeMs
        received.append((event.cursor, now))
        creditLeft -= 1
    }

    /// How many of `events` (all of the tenant's that are known, in order) it was due, up to its last or, if `endMs` is given, all of them;
    /// and those of them that are missing. Only in front of a run from the oldest may some be, which had expired when the first came.
    func missing(of events: [EventPush], endMs: UInt64?) -> (due: Int, missed: [EventPush]) {
        guard let start else { return (0, []) }
        let due = events.filter { $0.cursor > start && ($0.cursor <= last || endMs != nil) }
        let told = Set(received.map(\.cursor))
        let (first, firstMs) = received.first ?? (due.last?.cursor ?? .zero, endMs ?? 0)
        let missed = due.filter { event in
            let isInFront = start == .zero && event.cursor < first
            let mayBeMissing = isInFront && EventChecker.end(event.engineTimeMs) <= firstMs
            return !mayBeMissing && !told.contains(event.cursor)
        }
        return (due.count, missed)
    }
}
