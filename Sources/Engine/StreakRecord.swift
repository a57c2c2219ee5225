/// Failures in a row of one (account, phone): over resends, challenges and restarts; a success clears them.
struct StreakRecord {
    static let schema: UInt8 = 1

    /// Failures since the last success, all classes: at 100 the factor is off.
    var total: UInt16 = 0
    /// Failures since the last success, per class of asker.
    var failures = InlineArray<3, UInt16>(repeating: 0)
    /// Engine milliseconds until which a class is blocked.
    var blockedUntil = InlineArray<3, UInt64>(repeating: 0)

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: borrowing RecordBuffer) {
        record.schema(StreakRecord.schema)
        total = record.u16()
        for index in 0..<3 {
            failures[index] = record.u16()
            blockedUntil[index] = record.ms()
        }
        if !record.isWhole { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(StreakRecord.schema)
        record.put(total)
        for index in 0..<3 {
            record.put(failures[index])
            record.put(ms: blockedUntil[index])
        }
    }

    /// Counts one failure; returns how long the block that it starts lasts, 0 = none.
    mutating func fail(_ asker: Int, policy: StreakPolicy, now: UInt64) -> UInt64 {
        total = total &+ 1 == 0 ? total : total + 1
        failures[asker] = failures[asker] == .max ? .max : failures[asker] + 1
        guard total < policy.disableAfter else {
            // No block beside it: whoever waited a block out would wait for nothing.
            blockedUntil = InlineArray(repeating: 0)
            return 0
        }
        guard failures[asker] >= policy.blockAfter, (failures[asker] - policy.blockAfter) % 5 == 0 else { return 0 }
        let level = min(Int((failures[asker] - policy.blockAfter) / 5), policy.blockMs.count - 1)
        blockedUntil[asker] = now + policy.blockMs[level]
        return policy.blockMs[level]
    }
}
