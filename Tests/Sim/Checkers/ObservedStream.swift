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

    /// How many of `events` (all of the tenant's that are known, in order) came after `start`, and how many of those are missing that
    /// had not expired when the server passed them over: when it sent the next one, or `endMs`, if nothing newer may be missing either.
    func missing(of events: [EventPush], endMs: UInt64?) -> (due: Int, missed: [EventPush]) {
        guard let start else { return (0, []) }
        var (place, due) = (0, 0)
        var missed: [EventPush] = []
        for event in events where event.cursor > start {
            while place < received.count, received[place].cursor < event.cursor { place += 1 }
            guard let passedMs = place < received.count ? received[place].at : endMs else { break }
            due += 1
            if place < received.count, received[place].cursor == event.cursor { continue }
            if passedMs < EventChecker.end(event.engineTimeMs) { missed.append(event) }
        }
        return (due, missed)
    }
}
