import Wire

/// Up to five tags (of phones, of accounts), each with the time it was last seen: counts the different ones in a day.
struct RecentSet: ~Copyable {
    static let capacity = 5
    private var tags = InlineArray<5, UInt64>(repeating: 0)
    private var seen = InlineArray<5, UInt64>(repeating: 0)
    private(set) var count = 0

    /// 0 = `tag` is known or there is room; else milliseconds until fewer than `limit` are in the last day.
    func retryAfter(adding tag: UInt64, limit: Int, now: UInt64) -> UInt64 {
        var live = SmallSort()
        for index in 0..<count where seen[index] + RuleBounds.dayMs > now {
            if tags[index] == tag { return 0 }
            live.insert(seen[index])
        }
        guard live.count >= min(limit, RecentSet.capacity) else { return 0 }
        guard limit > 0, live.count > 0 else { return RuleBounds.dayMs }
        return live[live.count - limit] + RuleBounds.dayMs - now
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
