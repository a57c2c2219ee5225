import Store

/// What is measured between two printed lines.
struct Window {
    /// Nanoseconds of each commit: seal, append, sync.
    private(set) var commits: [UInt64] = []
    /// Of those while a checkpoint was under way.
    private(set) var disturbed: [UInt64] = []
    private(set) var checkpoints: [UInt64] = []
    /// Nanoseconds that writes waited for a checkpoint to make room: all of them, and the longest wait.
    var waited: UInt64 = 0
    var longestWait: UInt64 = 0
    var overlayPeak = 0
    /// What each checkpoint wrote, and the journal's next segment if it was made meanwhile.
    private var checkpointBytes: [UInt64] = []
    /// What most checkpoints wrote: LMDB keeps the memory of so many pages until it is closed.
    var usualCheckpointBytes: UInt64 { Window.percentile(checkpointBytes, 50) }

    init() { commits.reserveCapacity(65_536) }

    mutating func commit(_ nanos: UInt64, duringCheckpoint: Bool) {
        commits.append(nanos)
        if duringCheckpoint { disturbed.append(nanos) }
    }

    mutating func checkpoint(_ nanos: UInt64, bytes: UInt64) {
        checkpoints.append(nanos)
        checkpointBytes.append(bytes)
    }

    mutating func wait(_ nanos: UInt64) {
        waited += nanos
        longestWait = max(longestWait, nanos)
    }

    static func percentile(_ values: [UInt64], _ percent: Double) -> UInt64 {
        guard !values.isEmpty else { return 0 }
        return values.sorted()[min(values.count - 1, Int(Double(values.count) * percent / 100))]
    }

    /// `p50/p99/max` in microseconds.
    static func text(_ values: [UInt64]) -> String {
        let sorted = values.sorted()
        guard let last = sorted.last else { return "-" }
        func at(_ percent: Int) -> UInt64 {
            sorted[min(sorted.count - 1, sorted.count * percent / 100)] / 1_000
        }
        return "\(at(50))/\(at(99))/\(last / 1_000)"
    }
}
