import Wire

/// Failures in a row as the promises say them, from the codes typed in their order: whose blocks stand when,
/// and which class is off where.
struct Failures {
    struct Block {
        let limit: Limit
        let account: Int
        /// -1 = all of the account's.
        let phone: Int
        let asker: UInt8
        let from: UInt64
        let until: UInt64
        /// When something ended it before its time.
        var liftedAt = UInt64.max
        var end: UInt64 { min(until, liftedAt) }

        func stops(_ who: Who, _ isPayment: Bool) -> Bool {
            guard account == who.account else { return false }
            return limit == .paymentStreak ? isPayment : phone == who.phone && asker == who.asker
        }
    }

    /// A class that is off.
    struct Off {
        let place: Place
        let from: UInt64
        var end = UInt64.max
    }

    struct Place: Hashable {
        let account: Int
        let phone: Int
        let asker: UInt8
    }

    /// Of an account's payments, or of a class on an account and phone.
    private struct Row {
        /// Wrong codes since the last success, all of them.
        var wrong = 0
        /// Those that the next block counts: since the last success or block.
        var counted: [UInt64] = []
        /// Blocks since the last success.
        var blocks = 0
        var newest: UInt64 = 0

        /// A quarter of an hour, a half, then always a whole one.
        mutating func nextBlock() -> UInt64 {
            blocks += 1
            counted = []
            return UInt64(blocks == 1 ? 15 : blocks == 2 ? 30 : 60) * 60_000
        }
    }

    private(set) var blocks: [Block] = []
    private(set) var offs: [Off] = []
    private var payments: [Int: Row] = [:]
    private var classes: [Place: Row] = [:]

    private static let dayMs: UInt64 = 86_400_000

    func isOff(_ who: Who, at now: UInt64) -> Bool {
        let place = Place(account: who.account, phone: who.phone, asker: who.asker)
        return offs.contains { $0.place == place && $0.from <= now && now < $0.end }
    }

    /// Counts a wrong code; what it leads to.
    mutating func wrong(_ who: Who, _ rules: SimPurpose, _ policy: SimPolicy, at now: UInt64) -> (
        block: Limit?, isOff: Bool
    ) {
        var begun: Limit?
        if rules.isPayment, let length = payment(who.account, min(5, rules.blockAfter), now) {
            begun = .paymentStreak
            blocks.append(
                Block(
                    limit: .paymentStreak, account: who.account, phone: -1, asker: 0, from: now,
                    until: now + length))
        }
        let place = Place(account: who.account, phone: who.phone, asker: who.asker)
        var row = classes[place] ?? Row()
        // 400 days after the last one nothing is remembered; but what is off stays off.
        if !isOff(who, at: now), now >= row.newest + 400 * Failures.dayMs { row = Row() }
        row.newest = now
        row.wrong += 1
        if !rules.isPayment { row.counted.append(now) }
        defer { classes[place] = row }
        if row.wrong == policy.shares[Int(who.asker)] {
            lift(now) {
                $0.limit == .failureStreak && $0.account == who.account && $0.phone == who.phone
                    && $0.asker == who.asker
            }
            offs.append(Off(place: place, from: now))
            return (begun, true)
        }
        if !rules.isPayment, row.counted.count >= (row.blocks == 0 ? rules.blockAfter : 5) {
            begun = .failureStreak
            blocks.append(
                Block(
                    limit: .failureStreak, account: who.account, phone: who.phone, asker: who.asker,
                    from: now,
                    until: now + row.nextBlock()))
        }
        return (begun, false)
    }

    /// How long the block lasts that this wrong payment code begins.
    private mutating func payment(_ account: Int, _ threshold: Int, _ now: UInt64) -> UInt64? {
        var row = payments[account] ?? Row()
        defer { payments[account] = row }
        // A day without a wrong one: the lengths start anew.
        if now >= row.newest + Failures.dayMs { row.blocks = 0 }
        row.newest = now
        row.counted = row.counted.filter { now < $0 + Failures.dayMs } + [now]
        return row.counted.count >= threshold ? row.nextBlock() : nil
    }

    /// A right code of a class ends what its own and the lower ones have on this account and phone; one of a
    /// payment, the account's row.
    mutating func right(_ who: Who, isPayment: Bool, at now: UInt64) {
        if isPayment { payments[who.account] = nil }
        for asker in 0...who.asker { clear(Place(account: who.account, phone: who.phone, asker: asker), now) }
    }

    mutating func unblock(_ who: Who, at now: UInt64) {
        payments[who.account] = nil
        lift(now) { $0.limit == .paymentStreak && $0.account == who.account }
        guard who.phone >= 0 else { return }
        for asker in 0...2 as ClosedRange<UInt8> {
            clear(Place(account: who.account, phone: who.phone, asker: asker), now)
        }
    }

    private mutating func clear(_ place: Place, _ now: UInt64) {
        classes[place] = nil
        lift(now) {
            $0.limit == .failureStreak
                && Place(account: $0.account, phone: $0.phone, asker: $0.asker) == place
        }
        for index in offs.indices where offs[index].place == place && offs[index].end == .max {
            offs[index].end = now
        }
    }

    private mutating func lift(_ now: UInt64, _ isMeant: (Block) -> Bool) {
        for index in blocks.indices where isMeant(blocks[index]) && blocks[index].end > now {
            blocks[index].liftedAt = now
        }
    }
}
