/// What happened in the last minute, newest last: an exact rolling window of sixty seconds.
struct MinuteWindow: ~Copyable {
    static let windowMs: UInt64 = 60_000
    /// As many as the largest limit can need.
    static let capacity = 50

    /// Milliseconds, ascending; the first `count` are valid.
    private var stamps = InlineArray<50, UInt64>(repeating: 0)
    private(set) var count = 0

    /// 0 = passes; else milliseconds until `limit` in the window are one fewer.
    func retryAfter(limit: Int, now: UInt64) -> UInt64 {
        guard limit > 0, count > 0 else { return limit > 0 ? 0 : MinuteWindow.windowMs }
        guard count >= limit, stamps[count - limit] + MinuteWindow.windowMs > now else { return 0 }
        return stamps[count - limit] + MinuteWindow.windowMs - now
    }

    /// Records one; what is older than the window goes.
    mutating func debit(now: UInt64) {
        var drop = 0
        while drop < count, stamps[drop] + MinuteWindow.windowMs <= now { drop += 1 }
        if drop == 0, count == MinuteWindow.capacity { drop = 1 }
        for index in drop..<max(drop, count) { stamps[index - drop] = stamps[index] }
        count -= drop
        stamps[count] = now
        count += 1
    }

    @inline(__always) init() {}

    /// The newest in whole, the others as milliseconds before it: two bytes each.
    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        guard count > 0 else { return }
        let newest = stamps[count - 1]
        record.put(ms: newest)
        for index in 0..<count - 1 { record.put(UInt16(clamping: newest - min(newest, stamps[index]))) }
    }

    @inline(__always) init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: MinuteWindow.capacity)
        guard count > 0 else { return }
        let newest = record.ms()
        for index in 0..<count - 1 {
            let age = UInt64(record.u16())
            if age > newest { record.damage() }
            stamps[index] = newest - min(newest, age)
        }
        stamps[count - 1] = newest
    }

    /// What a window of sends holds of its last minute: before each class had its own, all shared one.
    init(copying sends: borrowing SendWindow) {
        for index in 0..<sends.count
        where sends.stamp(index) <= sends.last && sends.stamp(index) + MinuteWindow.windowMs > sends.last {
            stamps[count] = sends.stamp(index)
            count += 1
        }
    }
}
