/// A rate of messages: as many at once as a second brings, and then that many a second. Pure: time is data.
package struct TokenBucket: Sendable {
    /// `nil` = any rate.
    private let perSecond: UInt64?
    /// Thousandths of a message: a rate of one a second gains one in each millisecond.
    private var thousandths: UInt64
    private var filledAtMs: UInt64 = 0

    package init(perSecond: Int?) {
        self.perSecond = perSecond.map { UInt64(max(1, $0)) }
        thousandths = (self.perSecond ?? 0) * 1_000
    }

    package func room(nowMs: UInt64) -> Int {
        perSecond == nil ? .max : Int(level(nowMs) / 1_000)
    }

    package mutating func take(nowMs: UInt64) {
        guard perSecond != nil else { return }
        let now = level(nowMs)
        precondition(now >= 1_000, "a message beyond the rate")
        thousandths = now - 1_000
        filledAtMs = nowMs
    }

    /// A message came back untried.
    package mutating func giveBack() {
        guard let perSecond else { return }
        thousandths = min(thousandths + 1_000, perSecond * 1_000)
    }

    private func level(_ nowMs: UInt64) -> UInt64 {
        guard let perSecond else { return 0 }
        // A second fills it: a longer pause brings no more, and no overflow.
        let passed = min(nowMs > filledAtMs ? nowMs - filledAtMs : 0, 1_000)
        return min(thousandths + passed * perSecond, perSecond * 1_000)
    }

    /// When there is room for one; `nil` = now.
    package func deadline(nowMs: UInt64) -> UInt64? {
        guard let perSecond, case let now = level(nowMs), now < 1_000 else { return nil }
        return nowMs + (1_000 - now + perSecond - 1) / perSecond
    }
}
