import CFaultDisk

/// One crash state: a moment of a recording, and what becomes of what was unsynced then.
struct CrashCase {
    /// Entries of the recording that happened.
    var length: Int
    /// The entry after them is a write through O_DSYNC, and under way.
    var isInFlight: Bool
    /// CRASH_…
    var how: Int
    var seed: UInt64

    var text: String { "\(length)\(isInFlight ? "+" : ""):\(how):\(seed)" }

    init(length: Int, isInFlight: Bool = false, how: Int, seed: UInt64) {
        self.length = length
        self.isInFlight = isInFlight
        self.how = how
        self.seed = seed
    }

    /// As `text` writes it.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 3, let how = Int(parts[1]), (CRASH_ALL_LOST...CRASH_KILLED).contains(how) else {
            return nil
        }
        let isInFlight = parts[0].hasSuffix("+")
        guard let length = Int(isInFlight ? parts[0].dropLast() : parts[0]), let seed = UInt64(parts[2])
        else { return nil }
        self.init(length: length, isInFlight: isInFlight, how: how, seed: seed)
    }
}
