import ArgumentParser
import Glibc

/// `otp-churn`: creates and expires millions of challenges in the real engine on the real store, and looks at what is left behind.
@main
struct OTPChurn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otp-churn",
        abstract:
            "Churn: challenges created, verified and expired; the data file, the commits and the tables stay in bounds.",
        discussion: """
            Engine and Store are the server's own (journal, checkpoint thread, LMDB); time is data. It advances by as much for each \
            challenge that LIVE of them are always remembered: a challenge's record lives 1,920 s, so 100,000 live ones are 52 a second, \
            and 10 million are 53 hours. Then traffic stops, time goes on, and every table must be empty again.
            """)

    @Option(help: "Challenges to create.")
    var challenges = 10_000_000
    @Option(help: "Challenges that are remembered at any time.")
    var live = 100_000
    @Option(help: "Every choice follows from it; keys and nonces don't.")
    var seed: UInt64 = 1
    @Option(help: "Requests of one commit, at most.")
    var batch = 64
    @Option(help: "Challenges a second by the real clock; 0 = as fast as it goes.")
    var pace = 0
    @Option(help: "A folder to make the data folder in; it is removed afterwards.")
    var folder = "/tmp"

    func validate() throws {
        guard challenges >= 1_000, live >= 100, (1...1_024).contains(batch) else {
            throw ValidationError("at least 1,000 challenges, 100 live, batches of 1 to 1,024")
        }
    }

    func run() throws {
        say(
            "churn: challenges \(challenges), live \(live), seed \(seed), batch \(batch), commit \(Probe.commit())"
        )
        let run = try ChurnRun(self)
        defer { run.remove() }
        var verdicts = Verdicts()
        try run.load(&verdicts)
        try run.drain(&verdicts)
        try run.close()
        guard verdicts.print() else { throw ExitCode(1) }
    }
}

/// A line that is seen at once, in a pipe too.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// One line for each requirement.
struct Verdicts {
    private var lines: [(isMet: Bool, text: String)] = []

    mutating func require(_ isMet: Bool, _ text: String) { lines.append((isMet, text)) }

    /// Whether all are met.
    func print() -> Bool {
        for line in lines { say("\(line.isMet ? "ok  " : "FAIL") \(line.text)") }
        return lines.allSatisfy(\.isMet)
    }
}
