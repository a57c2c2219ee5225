/// How long the newest syncs took, and what `auto` makes of it. The loop owns it.
struct SyncTimes {
    /// Syncs whose median counts, and after how many it is looked at: some seconds of a busy shop.
    static let looked = 63
    static let between = 256
    /// Nanoseconds. A hop to the journal thread costs a lone client more than it saves on a quicker disk.
    static let quick: UInt64 = 500_000
    /// Of `quick`: the mode stays as it is within so much of it.
    static let band: UInt64 = 100_000

    private var newest = [UInt64](repeating: 0, count: looked)
    private var seen = 0

    /// By a first look.
    static func mode(_ medianNanos: UInt64) -> CommitMode { medianNanos < quick ? .adaptive : .overlapped }

    /// By a later one.
    static func mode(_ medianNanos: UInt64, now mode: CommitMode) -> CommitMode {
        if medianNanos >= quick + band { return .overlapped }
        return medianNanos < quick - band ? .adaptive : mode
    }

    /// The median, in nanoseconds, whenever it is time to look.
    mutating func note(_ nanos: UInt64) -> UInt64? {
        newest[seen % SyncTimes.looked] = nanos
        seen += 1
        return seen % SyncTimes.between == 0 ? newest.sorted()[SyncTimes.looked / 2] : nil
    }
}
