import Wire

/// The open challenges of a phone in one class, up to five.
struct OpenSet: ~Copyable {
    static let capacity = 5
    private var ids = InlineArray<5, Bytes16>(repeating: .zero)
    private var ends = InlineArray<5, UInt64>(repeating: 0)
    private(set) var count = 0

    /// How many more may be open beside those other than `replaced`, and when one may.
    func room(limit: Int, replacing replaced: Bytes16?, now: UInt64) -> LimitCheck.Room {
        var live = SmallSort()
        for index in 0..<count where ends[index] > now && ids[index] != replaced { live.insert(ends[index]) }
        let left = min(limit, OpenSet.capacity) - live.count
        guard left <= 0 else { return LimitCheck.Room(left: left, retryAfterMs: 0) }
        guard limit > 0, live.count > 0 else { return LimitCheck.Room(left: 0, retryAfterMs: RuleBounds.maxLifeMs) }
        // More than `limit` are live after the limit was lowered or its mode changed.
        return LimitCheck.Room(left: 0, retryAfterMs: live[live.count - limit] - now)
    }

    mutating func insert(_ id: Bytes16, until end: UInt64, now: UInt64) {
        compact { $0 > now }
        if count == OpenSet.capacity { remove(ids[0]) }
        ids[count] = id
        ends[count] = end
        count += 1
    }

    mutating func remove(_ id: Bytes16) {
        var kept = 0
        for index in 0..<count where ids[index] != id {
            ids[kept] = ids[index]
            ends[kept] = ends[index]
            kept += 1
        }
        count = kept
    }

    private mutating func compact(keeping isKept: (UInt64) -> Bool) {
        var kept = 0
        for index in 0..<count where isKept(ends[index]) {
            ids[kept] = ids[index]
            ends[kept] = ends[index]
            kept += 1
        }
        count = kept
    }

    @inline(__always) func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        for index in 0..<count {
            record.put(ids[index])
            record.put(ms: ends[index])
        }
    }

    @inline(__always) init() {}

    @inline(__always) init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: OpenSet.capacity)
        for index in 0..<count {
            ids[index] = record.bytes16()
            ends[index] = record.ms()
        }
    }
}
