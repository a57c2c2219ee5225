import ArgumentParser

/// The proof by machines: simulation of the whole server, and every state that a crash can leave of the store.
@main
struct OTPSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-sim", abstract: "Simulates otpd with faults from a seed, and explores crash states of its store.",
        subcommands: [RunCommand.self, FloodCommand.self, States.self])
}
