/// The Unblocks of an account in the last day: a limit, and what answers their retries. Part of its record.
struct UnblockList {
    static let capacity = RuleBounds.unblocksPerDay

    /// One that was done.
    struct Entry {
        /// Engine milliseconds.
        var at: UInt64 = 0
        /// The random part of the request id, and a keyed digest of the whole request.
        var tag: UInt64 = 0
        var digest: UInt64 = 0
    }

    private var entries = InlineArray<3, Entry>(repeating: Entry())
    private var count = 0

    init() {}

    /// The one with this tag, while it can be asked for again.
    func find(_ tag: UInt64) -> Entry? {
        for index in 0..<count where entries[index].tag == tag { return entries[index] }
        return nil
    }

    /// 0 = one more may be done; else milliseconds until then.
    func retryAfter(now: UInt64) -> UInt64 {
        guard count == UnblockList.capacity else { return 0 }
        let end = entries[0].at + RuleBounds.dayMs
        return end > now ? end - now : 0
    }

    /// The oldest gives way; `retryAfter` has said that it may.
    mutating func append(_ entry: Entry) {
        if count == UnblockList.capacity {
            for index in 1..<count { entries[index - 1] = entries[index] }
            count -= 1
        }
        entries[count] = entry
        count += 1
    }

    func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        for index in 0..<count {
            record.put(ms: entries[index].at)
            record.put(entries[index].tag)
            record.put(entries[index].digest)
        }
    }

    init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: UnblockList.capacity)
        for index in 0..<count {
            entries[index] = Entry(at: record.ms(), tag: record.u64(), digest: record.u64())
        }
    }
}
