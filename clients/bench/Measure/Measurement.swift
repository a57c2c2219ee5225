import Histogram

/// Percentiles of one kind of request, microseconds.
struct Latency {
    var count = 0
    var p50 = 0.0
    var p90 = 0.0
    var p99 = 0.0
    var p999 = 0.0
    var max = 0.0

    init(_ histogram: Histogram<UInt64>) {
        count = Int(histogram.totalCount)
        guard count > 0 else { return }
        func at(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1_000 }
        (p50, p90, p99, p999, max) = (at(50), at(90), at(99), at(99.9), Double(histogram.maxRecorded) / 1_000)
    }
}

/// One line of the report: a target under a load, over its repetitions.
struct Measurement {
    var name: String
    var target: TargetKind
    var mix: Mix
    var clients: Int
    var depth: Int
    var offeredRate: Double?
    var spread: String
    var records: Int
    var slowSyncMs: Double = 0
    /// Replies a second: each repetition's.
    var rates: [Double] = []
    /// p99 of all requests together, microseconds: each repetition's.
    var tails: [Double] = []
    /// By operation; whole errands under `errand`.
    var latencies: [(String, Latency)] = []
    /// Of all requests together.
    var all = Latency(StreamResult.histogram())
    var outcomes = ""
    var unanswered = 0
    var syncsPerSecond: Double?
    var journalBytesPerReply: Double?
    var writtenBytesPerReply: Double?
    var cpuMicrosPerReply = 0.0
    /// By thread's name, the load generator's among them.
    var threadMicrosPerReply: [String: Double] = [:]
    var privateBytes: UInt64 = 0
    var allocationsPerReply: Double?
    var callsPerReply: Double?

    /// The name of the load generator's time in `threadMicrosPerReply`.
    static let generator = "load generator"

    /// Medians of the repetitions.
    var rate: Double { Measurement.median(rates) }
    var p99: Double { Measurement.median(tails) }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }

    mutating func add(repetition result: StreamResult) {
        rates.append(result.rate)
        tails.append(Latency(result.together).p99)
    }

    func latency(_ operation: Operation) -> Latency? { latencies.first { $0.0 == operation.name }?.1 }

    mutating func take(_ result: StreamResult) {
        latencies = Operation.allCases.compactMap { operation in
            let histogram = result.latencies[operation.rawValue]
            return histogram.totalCount > 0 ? (operation.name, Latency(histogram)) : nil
        }
        if mix == .cycle || mix == .guess { latencies.append(("errand", Latency(result.errands))) }
        all = Latency(result.together)
        outcomes = result.outcomes
        unanswered = result.unanswered
    }
}
