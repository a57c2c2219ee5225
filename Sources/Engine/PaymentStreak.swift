/// Wrong payment codes in a row of one account, over classes and phones (PSD2 RTS art. 4(3)(b)); part of its
/// record.
struct PaymentStreak: Equatable {
    /// One less than what makes a block.
    static let capacity = Int(RuleBounds.paymentFailures) - 1

    /// Engine milliseconds of failures since the last success or block, ascending; the first `count` are
    /// valid.
    private var stamps = InlineArray<4, UInt64>(repeating: 0)
    private var count = 0
    /// Since the last success, or a day without failure.
    private var blocks: UInt8 = 0
    private var failedAt: UInt64 = 0
    /// Engine milliseconds.
    private(set) var blockedUntil: UInt64 = 0

    init() {}

    /// Counts one failure; returns how long the block lasts that it begins, 0 = none.
    mutating func fail(policy: StreakPolicy, now: UInt64) -> UInt64 {
        if failedAt + RuleBounds.paymentFailuresMs <= now { blocks = 0 }
        failedAt = now
        var kept = 0
        for index in 0..<count where stamps[index] + RuleBounds.paymentFailuresMs > now {
            stamps[kept] = stamps[index]
            kept += 1
        }
        count = kept
        guard count + 1 >= Int(min(policy.blockAfter, RuleBounds.paymentFailures)) else {
            stamps[count] = now
            count += 1
            return 0
        }
        let blockMs = policy.blockMs(after: blocks)
        count = 0
        blocks = blocks == .max ? .max : blocks + 1
        blockedUntil = now + blockMs
        return blockMs
    }

    static func == (a: PaymentStreak, b: PaymentStreak) -> Bool {
        guard a.count == b.count, a.blocks == b.blocks, a.failedAt == b.failedAt,
            a.blockedUntil == b.blockedUntil
        else { return false }
        for index in 0..<a.count where a.stamps[index] != b.stamps[index] { return false }
        return true
    }

    func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        record.put(blocks)
        guard count > 0 || blocks > 0 else { return }
        record.put(ms: failedAt)
        record.put(ms: blockedUntil)
        for index in 0..<count { record.put(ms: stamps[index]) }
    }

    init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: PaymentStreak.capacity)
        blocks = record.u8()
        guard count > 0 || blocks > 0 else { return }
        failedAt = record.ms()
        blockedUntil = record.ms()
        for index in 0..<count { stamps[index] = record.ms() }
    }
}
