import Wire

/// Failures in a row of one (account, phone): over purposes, resends, challenges and restarts, apart for each
/// class of askers.
struct StreakRecord {
    /// Schema 1 had a sum over all classes, and blocks that every fifth failure began.
    static let schema: UInt8 = 2

    /// One class of askers.
    struct Class: Equatable {
        /// Since the last success, of all purposes: what is used up of the class's share.
        var failures: UInt16 = 0
        /// Of log-ins, since the last success or block.
        var sinceBlock: UInt16 = 0
        /// Since the last success.
        var blocks: UInt8 = 0
        /// Engine milliseconds.
        var blockedUntil: UInt64 = 0
        /// Engine milliseconds of the last failure.
        var failedAt: UInt64 = 0

        fileprivate init() {}

        fileprivate init(from record: borrowing RecordBuffer) {
            failures = record.u16()
            sinceBlock = record.u16()
            blocks = record.u8()
            blockedUntil = record.ms()
            failedAt = record.ms()
        }

        fileprivate func encode(into record: borrowing RecordBuffer) {
            record.put(failures)
            record.put(sinceBlock)
            record.put(blocks)
            record.put(ms: blockedUntil)
            record.put(ms: failedAt)
        }
    }

    /// By `Assurance`.
    private(set) var classes = InlineArray<3, Class>(repeating: Class())

    init() {}

    /// Nothing is remembered.
    var isEmpty: Bool {
        for index in 0..<3 where classes[index] != Class() { return false }
        return true
    }

    /// The class's share is used up: until a success in a higher class, or Unblock.
    func isOff(_ asker: Int) -> Bool { classes[asker].failures >= RuleBounds.failureShares[asker] }

    /// When the record may go, engine milliseconds; 0 = never.
    var expiresAt: UInt64 {
        var newest: UInt64 = 0
        for index in 0..<3 {
            // Getting there costs ten sends to one phone, so such records are few.
            if isOff(index) { return 0 }
            newest = max(newest, classes[index].failedAt)
        }
        return newest + RuleBounds.streakKeepMs
    }

    /// Forgets what no longer counts: the record lives as long as its youngest class, which must not keep the
    /// others alive.
    mutating func age(now: UInt64) {
        for index in 0..<3 where !isOff(index) && classes[index].failedAt + RuleBounds.streakKeepMs <= now {
            classes[index] = Class()
        }
    }

    /// Counts one failure.
    /// - Returns: how long the block lasts that it begins, 0 = none; and whether it turned the class off.
    mutating func fail(_ asker: Int, policy: StreakPolicy, now: UInt64) -> (blockMs: UInt64, turnsOff: Bool) {
        var one = classes[asker]
        defer { classes[asker] = one }
        one.failures = one.failures == .max ? .max : one.failures + 1
        one.failedAt = now
        if one.failures >= RuleBounds.failureShares[asker] {
            // No block beside it: whoever waited a block out would wait for nothing.
            one.blockedUntil = 0
            return (0, one.failures == RuleBounds.failureShares[asker])
        }
        guard policy.profile == .shopLogin else { return (0, false) }
        one.sinceBlock = one.sinceBlock == .max ? .max : one.sinceBlock + 1
        // Crossed, not met: another purpose may have counted before with a higher one.
        guard one.sinceBlock >= (one.blocks == 0 ? policy.blockAfter : RuleBounds.nextBlockAfter) else {
            return (0, false)
        }
        let blockMs = policy.blockMs(after: one.blocks)
        one.sinceBlock = 0
        one.blocks = one.blocks == .max ? .max : one.blocks + 1
        one.blockedUntil = now + blockMs
        return (blockMs, false)
    }

    /// Whether a right code of `asker` has anything to clear.
    func hasFailures(through asker: Int) -> Bool {
        for index in 0...asker where classes[index] != Class() { return true }
        return false
    }

    /// A right code of `asker` clears its own class and the lower ones.
    mutating func succeed(_ asker: Int) {
        for index in 0...asker { classes[index] = Class() }
    }
}

// MARK: bytes

extension StreakRecord {
    /// `nil` when the bytes aren't a record of a known schema.
    /// - Parameter now: for those of the first schema that are kept for ever and don't say since when.
    init?(from record: borrowing RecordBuffer, now: UInt64 = 0) {
        if record.schema(upTo: StreakRecord.schema) == 1 {
            readFirstSchema(record, now)
        } else {
            let there = record.u8()
            for index in 0..<3 where there & (1 << UInt8(index)) != 0 {
                classes[index] = Class(from: record)
                if classes[index] == Class() { return nil }
            }
            if there > 7 { return nil }
        }
        if !record.isWhole { return nil }
    }

    /// A class that was on stays on: a start of this version turns nobody's factor off.
    private mutating func readFirstSchema(_ record: borrowing RecordBuffer, _ now: UInt64) {
        let wasOff = record.u16() >= 100
        let failedAt =
            record.expiresAt == 0 ? now : record.expiresAt - min(record.expiresAt, RuleBounds.streakKeepMs)
        for index in 0..<3 {
            let failures = record.u16()
            let blockedUntil = record.ms()
            guard failures > 0 else { continue }
            let most = RuleBounds.failureShares[index] - 1
            classes[index].failures = wasOff ? failures : min(failures, most)
            classes[index].sinceBlock = blockedUntil == 0 ? failures : 0
            classes[index].blocks = blockedUntil == 0 ? 0 : 1
            classes[index].blockedUntil = blockedUntil
            classes[index].failedAt = failedAt
        }
    }

    /// Only the classes that have failures.
    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(StreakRecord.schema)
        var there: UInt8 = 0
        for index in 0..<3 where classes[index] != Class() { there |= 1 << UInt8(index) }
        record.put(there)
        for index in 0..<3 where there & (1 << UInt8(index)) != 0 { classes[index].encode(into: record) }
    }
}
