/// How a session slows down when its peer says "throttled" or "queue full": a pause that doubles, and then one message at a time until
/// one is accepted.
struct Throttle {
    private let firstMs: UInt64
    private let longestMs: UInt64
    private var pauseMs: UInt64
    private var refusedAtMs: UInt64?
    /// No submit before it.
    private(set) var pausedUntilMs: UInt64 = 0

    init(firstMs: UInt64, longestMs: UInt64) {
        self.firstMs = firstMs
        self.longestMs = longestMs
        pauseMs = firstMs
    }

    func window(_ whole: Int, nowMs: UInt64) -> Int {
        guard refusedAtMs != nil else { return whole }
        return nowMs < pausedUntilMs ? 0 : 1
    }

    /// All that was in flight at the first refusal may be refused too: that is one pause, not ten.
    mutating func refused(sentAtMs: UInt64, nowMs: UInt64) {
        guard sentAtMs >= pausedUntilMs else { return }
        pauseMs = refusedAtMs == nil ? firstMs : min(pauseMs * 2, longestMs)
        refusedAtMs = nowMs
        pausedUntilMs = nowMs + pauseMs
    }

    /// What was sent before the pause proves nothing about after it.
    mutating func accepted(sentAtMs: UInt64) {
        guard sentAtMs >= pausedUntilMs else { return }
        refusedAtMs = nil
    }
}
