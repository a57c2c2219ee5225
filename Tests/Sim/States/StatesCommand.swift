import ArgumentParser
import CFaultDisk
import Glibc
import Store

/// `otp-sim states`: every state that a crash can leave of journal, checkpoint and first start.
struct States: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "states", abstract: "Explores the states that a crash can leave of the store.",
        discussion: """
            Runs the real store on a disk that remembers what isn't synced; then, for each moment of the run, makes the disks that a \
            power cut could leave, starts the store on each, compares it with what was acknowledged, writes on, cuts the power again.
            """)

    @Option(help: "About how many states to explore.")
    var states = 20_000
    @Option(help: "Fixes every choice.")
    var seed: UInt64 = 1
    @Option(help: "One scenario alone: \(Scenario.allCases.map(\.rawValue).joined(separator: ", ")).")
    var scenario: String?
    @Option(
        name: .customLong("case"),
        help: "One crash state alone, as a violation names it: moment:how:seed. Needs --scenario.")
    var only: String?

    mutating func validate() throws {
        guard scenario.map({ Scenario(rawValue: $0) != nil }) ?? true else {
            throw ValidationError(
                "There is no scenario \(scenario ?? ""). Choose one of those that --help lists.")
        }
        if let only, CrashCase(only) == nil || scenario == nil {
            throw ValidationError(
                "A case is moment:how:seed, as a violation prints it, together with --scenario.")
        }
        guard states > 0 else { throw ValidationError("--states is at least 1.") }
    }

    func run() throws {
        var template = Array("/dev/shm/otp-states-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SimFailure("no folder on /dev/shm: \(errno)") }
        let root = String(cString: made)
        defer { rmdir(root) }
        Current.catchTraps()
        let scenarios = Scenario.allCases.filter { scenario == nil || $0.rawValue == scenario }
        if let only, let item = CrashCase(only) { return try explore(item, scenarios[0], root) }
        print("crash states: seed \(seed), about \(states) states")
        var tallies: [Scenario: Tally] = [:]
        var round: UInt64 = 0
        while tallies.values.reduce(0, { $0 + $1.states }) < states {
            for (index, scenario) in scenarios.enumerated() {
                let left = states - tallies.values.reduce(0) { $0 + $1.states }
                guard left > 0 else { break }
                // A recording isn't worth fewer.
                let budget = max(100, left / (scenarios.count - index))
                try explore(scenario, seed &+ round, budget, root, &tallies[scenario, default: Tally()])
            }
            round += 1
        }
        try summarize(scenarios, tallies)
    }

    private func explore(
        _ scenario: Scenario, _ seed: UInt64, _ budget: Int, _ root: String, _ tally: inout Tally
    ) throws {
        let explorer = try Explorer(scenario, seed: seed, root: root) { item, text in
            print("VIOLATION \(scenario.rawValue): \(text)")
            print("  otp-sim states --scenario \(scenario.rawValue) --seed \(seed) --case \(item.text)")
            fflush(nil)
        }
        explorer.explore(budget: budget)
        empty(root)
        tally.add(explorer.tally)
    }

    private func explore(_ item: CrashCase, _ scenario: Scenario, _ root: String) throws {
        let explorer = try Explorer(scenario, seed: seed, root: root) { _, text in print("VIOLATION \(text)")
        }
        print("\(scenario.rawValue), seed \(seed), case \(item.text); the calls up to there:")
        explorer.story(around: item.length, 24).forEach { print("  \($0)") }
        explorer.explore(item)
        empty(root)
        print("states \(explorer.tally.states), violations \(explorer.tally.violations)")
        if explorer.tally.violations > 0 { throw ExitCode.failure }
    }

    /// The root goes at the end with nothing in it.
    private func empty(_ root: String) {
        fault_disk_empty(root)
    }

    private func summarize(_ scenarios: [Scenario], _ tallies: [Scenario: Tally]) throws {
        var all = Tally()
        print("scenario    recordings    calls   images   states  refused  died  wrong  violations")
        for scenario in scenarios {
            let tally = tallies[scenario] ?? Tally()
            print(tally.line(scenario.rawValue))
            all.add(tally)
        }
        print(all.line("all"))
        if all.violations > 0 { throw ExitCode.failure }
    }
}
