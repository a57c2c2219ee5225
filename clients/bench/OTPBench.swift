import ArgumentParser

/// `otp-bench`: loads and torments an otpd that it starts itself, in a folder of its own.
@main
struct OTPBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-bench",
        abstract: "Measure otpd, race it, torment it: each against a server of its own.",
        version: "otp-bench 0.1",
        subcommands: [
            BenchCommand.self, LoadCommand.self, Gate.self, Prefill.self, Cycle.self, Race.self, Hostile.self,
            HostilePeers.self, UserAttack.self, Bitflips.self, DeadGateway.self, Stall.self,
        ])
}

/// What went wrong, for people.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// SplitMix64: a run can be repeated from its printed seed.
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
}
