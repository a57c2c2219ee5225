import Wire

/// Whether a gateway is worth a message: closed while it takes them, open when it doesn't, half-open when one message may find out. Pure:
/// time is data.
package struct CircuitBreaker: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case closed
        case open(untilMs: UInt64)
        /// `isProbing`: a message is out that will tell.
        case halfOpen(isProbing: Bool)
    }

    /// What a message says about its gateway.
    package enum Sign: Sendable, Equatable {
        case taken
        /// Refused for now, or no answer.
        case failed
        /// The account, the sender or a setting is wrong: no message will pass until somebody mends it.
        case faulty
    }

    /// The newest so many messages are judged, of the last minute.
    static let sample = 20
    static let windowMs: UInt64 = 60_000
    /// Fewer failures say nothing.
    static let leastFailures = 5
    static let firstOpenMs: UInt64 = 5_000
    static let longestOpenMs: UInt64 = 300_000
    /// A probe that nobody heard of again (its message's lease ended) is over after it.
    static let probeMs: UInt64 = 30_000

    package private(set) var state = State.closed
    private var signs: [(isFailure: Bool, atMs: UInt64)] = []
    private var openMs = CircuitBreaker.firstOpenMs
    private var probeUntilMs: UInt64 = 0

    package init() {}

    package static func == (a: CircuitBreaker, b: CircuitBreaker) -> Bool {
        a.state == b.state && a.openMs == b.openMs
    }

    /// As operators see it.
    func reported(nowMs: UInt64) -> ReportRoute.Breaker {
        switch state {
        case .closed: .closed
        case .open(let untilMs): nowMs >= untilMs ? .halfOpen : .open
        case .halfOpen: .halfOpen
        }
    }

    /// Messages that it lets through now.
    package func room(nowMs: UInt64) -> Int {
        switch state {
        case .closed: .max
        case .open(let untilMs): nowMs >= untilMs ? 1 : 0
        case .halfOpen(let isProbing): !isProbing || nowMs >= probeUntilMs ? 1 : 0
        }
    }

    /// A message goes. There must be room.
    package mutating func take(nowMs: UInt64) {
        precondition(room(nowMs: nowMs) > 0, "a message through an open breaker")
        if state == .closed { return }
        state = .halfOpen(isProbing: true)
        probeUntilMs = nowMs + CircuitBreaker.probeMs
    }

    /// The message came back untried: it said nothing.
    package mutating func tookNothing() {
        if case .halfOpen = state { state = .halfOpen(isProbing: false) }
    }

    package mutating func see(_ sign: Sign, nowMs: UInt64) {
        switch (state, sign) {
        case (.halfOpen, .taken), (.open, .taken):
            // Late or not, the gateway takes messages.
            self = CircuitBreaker()
        case (_, .faulty), (.halfOpen, .failed): open(nowMs)
        case (.open, .failed): break
        case (.closed, .taken), (.closed, .failed):
            signs.append((sign == .failed, nowMs))
            if signs.count > CircuitBreaker.sample { signs.removeFirst() }
            signs.removeAll { $0.atMs + CircuitBreaker.windowMs <= nowMs }
            let failures = signs.count { $0.isFailure }
            if failures >= CircuitBreaker.leastFailures, failures * 2 >= signs.count { open(nowMs) }
        }
    }

    private mutating func open(_ nowMs: UInt64) {
        if case .open(let untilMs) = state, nowMs < untilMs { return }
        state = .open(untilMs: nowMs + openMs)
        openMs = min(openMs * 2, CircuitBreaker.longestOpenMs)
        signs = []
    }

    /// When `room` grows by itself; `nil` = never.
    package func deadline(nowMs: UInt64) -> UInt64? {
        switch state {
        case .open(let untilMs) where untilMs > nowMs: untilMs
        case .halfOpen(isProbing: true) where probeUntilMs > nowMs: probeUntilMs
        case .closed, .open, .halfOpen: nil
        }
    }
}
