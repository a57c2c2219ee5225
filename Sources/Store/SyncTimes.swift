/// How long the newest syncs took, and what `auto` makes of it: what most of them say. The loop owns it.
struct SyncTimes {
    /// Syncs that count, and after how many they are looked at: some seconds of a busy shop.
    static let looked = 63
    static let between = 256
    /// Nanoseconds. A hop to the journal thread costs a lone client more than it saves on a quicker disk.
    static let quick: UInt64 = 500_000
    /// Of `quick`: the mode stays as it is within so much of it.
    static let band: UInt64 = 100_000

    private var newest = [UInt64](repeating: 0, count: looked)
    private var seen = 0

    /// By a first look's median.
    static func mode(_ medianNanos: UInt64) -> CommitMode { medianNanos < quick ? .adaptive : .overlapped }

    /// The mode that a look finds right, whenever it is time for one; `mode` if the answer isn't clear.
    mutating func note(_ nanos: UInt64, now mode: CommitMode) -> CommitMode {
        newest[seen % SyncTimes.looked] = nanos
        seen += 1
        guard seen % SyncTimes.between == 0 else { return mode }
        var (slow, quick) = (0, 0)
        for time in newest {
            if time >= SyncTimes.quick + SyncTimes.band { slow += 1 }
            if time < SyncTimes.quick - SyncTimes.band { quick += 1 }
        }
        if slow > SyncTimes.looked / 2 { return .overlapped }
        return quick > SyncTimes.looked / 2 ? .adaptive : mode
    }
}
