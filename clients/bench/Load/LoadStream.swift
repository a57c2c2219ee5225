import Histogram

/// What is sent, again and again.
enum Mix: String, CaseIterable {
    /// RequestCode, then Verify with the right code: the main job.
    case cycle
    case request
    /// RequestCode, then five wrong codes.
    case guess
    case lookup
    case refusal
    case retry

    /// Needs challenges that exist already.
    var needsKnown: Bool {
        switch self {
        case .lookup, .refusal, .retry: true
        case .cycle, .request, .guess: false
        }
    }

    /// Somebody is sent a code.
    var createsMessages: Bool {
        switch self {
        case .cycle, .request, .guess: true
        case .lookup, .refusal, .retry: false
        }
    }

    /// The first request of an errand.
    var first: Operation {
        switch self {
        case .cycle, .request, .guess: .request
        case .lookup: .lookup
        case .refusal: .refusal
        case .retry: .retry
        }
    }
}

/// One kind of load on connections of its own.
struct LoadStream {
    var mix: Mix
    var clients: Int
    /// Closed loop: errands at a time on each connection.
    var depth = 1
    /// Open loop: errands a second over all connections, whatever the replies do; nil = closed loop.
    var rate: Double?
    var spread = KeySpread.fresh
    /// Stop after so many errands; nil = when the time is over.
    var limit: Int?
    /// Keep the errands for later streams.
    var keeps = false
}

/// What a stream did.
struct StreamResult {
    static let topNanos: UInt64 = 60_000_000_000

    /// Nanoseconds by operation, and of whole errands; an open loop's from the instant at which the request was due.
    var latencies = Operation.allCases.map { _ in StreamResult.histogram() }
    var errands = StreamResult.histogram()
    /// Counts by operation and outcome.
    var counts = Operation.allCases.map { _ in Outcome.allCases.map { _ in 0 } }
    /// Open loop: errands that were due.
    var offered = 0
    /// Requests without an answer when the waiting was over; their age is in the histogram.
    var unanswered = 0
    var nanos: UInt64 = 0

    static func histogram() -> Histogram<UInt64> {
        Histogram<UInt64>(
            lowestDiscernibleValue: 100, highestTrackableValue: topNanos,
            numberOfSignificantValueDigits: .three)
    }

    var together: Histogram<UInt64> {
        var sum = StreamResult.histogram()
        for histogram in latencies { sum.add(histogram) }
        return sum
    }

    var seconds: Double { Double(nanos) / 1e9 }
    var replies: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }
    func replies(_ operation: Operation) -> Int { counts[operation.rawValue].reduce(0, +) }
    func count(_ outcome: Outcome) -> Int { counts.reduce(0) { $0 + $1[outcome.rawValue] } }
    /// Replies a second.
    var rate: Double { seconds > 0 ? Double(replies) / seconds : 0 }

    /// `done 120, wrongCode 3`
    var outcomes: String {
        Outcome.allCases.filter { count($0) > 0 }.map { "\($0.name) \(count($0))" }.joined(separator: ", ")
    }

    mutating func add(_ other: StreamResult) {
        for index in latencies.indices { latencies[index].add(other.latencies[index]) }
        errands.add(other.errands)
        for index in counts.indices {
            for place in counts[index].indices { counts[index][place] += other.counts[index][place] }
        }
        offered += other.offered
        unanswered += other.unanswered
        nanos += other.nanos
    }
}
