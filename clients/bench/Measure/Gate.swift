import ArgumentParser

/// The regression gate of CI: counts, which a busy machine doesn't change, against the most that is committed.
struct Gate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Allocations, system calls and journal bytes per request must not grow beyond the committed bounds.",
        discussion: """
            One client, commit=inline, so that each write is one turn of the loop. Allocations and system calls are those of the event loop's
            thread; system calls that libc makes for itself aren't counted. The loop's timer adds some on a slow machine, so their bounds have some room. The bounds are in Gate.swift: lower them when the server
            gets better; raise one only with the reason in the commit.
            """)

    @Option(help: "Errands of each mix.")
    var errands = 200
    @Option(help: "The repository's clients/bench.")
    var sources = "clients/bench"
    @Option(help: "Seed of ids.")
    var seed: UInt64 = 1

    /// The most of each, per reply.
    struct Bound {
        var mix: Mix
        var allocations: Double
        var calls: Double
        var journalBytes: Double
    }

    #if DEBUG
        static let build = "debug"
        static let bounds: [Bound] = [
            Bound(mix: .cycle, allocations: 36, calls: 6.5, journalBytes: 1024),
            Bound(mix: .request, allocations: 62, calls: 7, journalBytes: 1024),
            Bound(mix: .guess, allocations: 26, calls: 6, journalBytes: 1024),
            Bound(mix: .lookup, allocations: 5, calls: 3.6, journalBytes: 0),
            Bound(mix: .refusal, allocations: 21, calls: 6, journalBytes: 512),
            Bound(mix: .retry, allocations: 8, calls: 3.6, journalBytes: 0),
        ]
    #else
        static let build = "release"
        static let bounds: [Bound] = [
            Bound(mix: .cycle, allocations: 0.3, calls: 6.5, journalBytes: 1024),
            Bound(mix: .request, allocations: 0.3, calls: 7, journalBytes: 1024),
            Bound(mix: .guess, allocations: 0.3, calls: 6, journalBytes: 1024),
            Bound(mix: .lookup, allocations: 0.3, calls: 3.6, journalBytes: 0),
            Bound(mix: .refusal, allocations: 0.3, calls: 6, journalBytes: 512),
            Bound(mix: .retry, allocations: 0.3, calls: 3.6, journalBytes: 0),
        ]
    #endif

    func run() throws {
        var options = TargetOptions()
        options.commit = "inline"
        options.sources = sources
        options.probe = try Probe()
        print(
            "otp-bench gate: \(Gate.build) build, \(errands) errands of each mix, one client, seed \(seed), commit \(Report.currentCommit())"
        )
        let session = try Session(.otpd, options, seed: seed)
        var rows: [[String]] = []
        var broken: [String] = []
        for mix in Mix.allCases {
            let found = try Suite.count(session, mix, errands: errands)
            guard let bound = Gate.bounds.first(where: { $0.mix == mix }) else {
                throw BenchError("Gate.swift has no bound for \(mix.rawValue) in a \(Gate.build) build")
            }
            let pairs = [
                ("allocations", found.allocations, bound.allocations),
                ("system calls", found.calls, bound.calls),
                ("journal bytes", found.journalBytes, bound.journalBytes),
            ]
            for (name, value, most) in pairs where value > most {
                broken.append(
                    "\(mix.rawValue): \(Text.number(value)) \(name) a reply, at most \(Text.number(most)) are allowed"
                )
            }
            // A count of nothing would pass any bound: the probe must have seen the server work.
            if found.calls < 1 {
                broken.append(
                    "\(mix.rawValue): the probe counted \(Text.number(found.calls)) system calls a reply, so it sees nothing"
                )
            }
            rows.append(
                [mix.rawValue, "\(found.replies)"]
                    + pairs.map { "\(Text.number($0.1)) / \(Text.number($0.2))" })
        }
        try session.target.stop()
        print(
            Text.table(
                ["mix", "replies", "allocations / most", "system calls / most", "journal bytes / most"], rows)
        )
        guard broken.isEmpty else {
            throw BenchError("the gate is broken:\n  " + broken.joined(separator: "\n  "))
        }
        print("passed")
    }
}
