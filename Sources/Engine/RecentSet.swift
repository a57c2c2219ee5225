import Wire

/// Up to five tags (of phones, of accounts), each with the time it was last seen: counts the different ones in a day.
struct RecentSet: ~Copyable {
    static let capacity = 5
    private var tags = InlineArray<5, UInt64>(repeating: 0)
    private var seen = InlineArray<5, UInt64>(repeating: 0)
    private(set) var count = 0

    /// How many more different ones there may be in a day, and when `tag` may be one: at once, if it is among them.
    func room(adding tag: UInt64, limit: Int, now: UInt64) -> LimitCheck.Room {
        var live = SmallSort()
        var isKnown = false
        for index in 0..<count where seen[index] + RuleBounds.dayMs > now {
            if tags[index] == tag { isKnown = true }
            live.insert(seen[index])
        }
        let left = min(limit, RecentSet.capacity) - live.count
        guard left <= 0, !isKnown else { return LimitCheck.Room(left: max(0, left), retryAfterMs: 0) }
        guard limit > 0, live.count > 0 else { return LimitCheck.Room(left: 0, retryAfterMs: RuleBounds.dayMs) }
        return LimitCheck.Room(left: 0, retryAfterMs: live[live.count - limit] + RuleBounds.dayMs - now)
    }

    /// Notes that `tag` was used; the oldest gives way when the set is full.
    mutating func insert(_ tag: UInt64, now: UInt64) {
        var victim = count
        for index in 0..<count where tags[index] == tag { victim = index }
        if victim == count, count == RecentSet.capacity {
            victim = 0
            for index in 1..<count where seen[index] < seen[victim] { victim = index }
        }
        if victim == count { count += 1 }
        tags[victim] = tag
        seen[victim] = now
    }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        for index in 0..<count {
            record.put(tags[index])
            record.put(ms: seen[index])
        }
    }

    @inline(__always) init() {}

    @inline(__always) init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: RecentSet.capacity)
        for index in 0..<count {
            tags[index] = record.u64()
            seen[index] = record.ms()
        }
    }
}
