/// The sends of one class on one phone or account: exact rolling windows over their times.
struct SendWindow: ~Copyable {
    /// As many as the largest budget can need.
    static let capacity = 50

    /// Milliseconds, ascending; the first `count` are valid.
    private var stamps = InlineArray<50, UInt64>(repeating: 0)
    private(set) var count = 0
    /// How many of the newest have had no verify since.
    private(set) var unverified = 0

    /// The newest send; 0 = none.
    var last: UInt64 { count > 0 ? stamps[count - 1] : 0 }

    /// Of those held, the oldest first.
    func stamp(_ index: Int) -> UInt64 { stamps[index] }

    /// How many of the newest `among` lie inside the last `window` ms.
    func used(within window: UInt64, among newest: Int, now: UInt64) -> Int {
        var used = 0
        for back in 0..<min(newest, count) {
            guard stamps[count - 1 - back] + window > now else { break }
            used += 1
        }
        return used
    }

    /// How many of `limit` sends in `window` are left, and when there is one.
    func room(limit: Int, window: UInt64, among newest: Int, now: UInt64) -> LimitCheck.Room {
        let left = limit - used(within: window, among: newest, now: now)
        guard left <= 0 else { return LimitCheck.Room(left: left, retryAfterMs: 0) }
        return LimitCheck.Room(left: 0, retryAfterMs: limit > 0 ? stamps[count - limit] + window - now : window)
    }

    /// Records a send; what is older than a day goes.
    mutating func debit(now: UInt64) {
        var drop = 0
        while drop < count, stamps[drop] + RuleBounds.dayMs <= now { drop += 1 }
        if drop == 0, count == SendWindow.capacity { drop = 1 }
        for index in drop..<max(drop, count) { stamps[index - drop] = stamps[index] }
        count -= drop
        stamps[count] = now
        count += 1
        unverified = min(unverified + 1, count)
    }

    /// A verify clears the unverified ones.
    mutating func verified() { unverified = 0 }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        record.put(UInt8(unverified))
        for index in 0..<count { record.put(ms: stamps[index]) }
    }

    @inline(__always) init() {}

    @inline(__always) init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: SendWindow.capacity)
        unverified = record.length(atMost: count)
        for index in 0..<count { stamps[index] = record.ms() }
    }
}
