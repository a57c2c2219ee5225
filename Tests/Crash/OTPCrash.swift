import ArgumentParser

/// `otp-crash`: kills, starves and misleads a real otpd that it starts itself, and checks the promises from a log of its own.
@main
struct OTPCrash: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-crash",
        abstract: "Kill otpd, fail its system calls, cut its power, fill its disk, turn its clocks; then check P1-P5.",
        version: "otp-crash 0.1",
        subcommands: [Kills.self, Sweep.self, Times.self, PowerCut.self, FullDisk.self, Check.self])
}

/// What went wrong, for people.
struct CrashError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A promise that was broken: the run ends with exit 1.
struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = "VIOLATION: " + description }
}

/// SplitMix64: a run's choices can be repeated from its printed seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// True in `percent` of 100 cases.
    mutating func chance(_ percent: UInt64) -> Bool { next() % 100 < percent }
}
