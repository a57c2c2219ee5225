import ArgumentParser
import CSimMachine
import Glibc

/// `otp-sim run`: many seeds of the whole server under faults.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Simulate the whole server under faults; exit 1 on any violation.")

    @Option(help: "How many seeds.")
    var seeds = 100
    @Option(help: "The first seed.")
    var seed: UInt64 = 1
    @Option(help: "Requests a seed at least.")
    var operations = 1_000
    @Option(help: "Processes, each with its part of the seeds.")
    var jobs = 1
    @Option(help: "Stop after so many seeds with a violation.")
    var maxViolations = 5
    @Flag(help: "Print a digest over all frames and the final disk of each seed.")
    var digest = false
    @Flag(help: "Print everything that is sent and comes back.")
    var trace = false
    @Flag(help: "Print the counts as `name<TAB>count` lines alone, for adding up.")
    var counts = false

    func validate() throws {
        guard seeds > 0, operations > 0, jobs > 0 else {
            throw ValidationError("--seeds, --operations and --jobs are 1 and more")
        }
    }

    func run() throws {
        let started = sim_machine_real_nanos()
        let tally = jobs > 1 ? try runInParts() : try runHere()
        if counts {
            for (name, count) in tally.lines("") { print("\(name)\t\(count)") }
        } else {
            let seconds = Double(sim_machine_real_nanos() - started) / 1e9
            Report.print(tally, seconds: seconds, first: seed, operations: operations)
        }
        if tally[Report.failures] > 0 { throw ExitCode(1) }
    }

    private func runHere() throws -> Occurrences {
        // Stores come and go by the thousand: their megabytes needn't go back to the kernel each time.
        sim_machine_keep_memory()
        let folder = "/dev/shm/otp-sim-\(getpid())"
        defer { removeFolder(folder) }
        var tally = Occurrences()
        for number in seed..<seed + UInt64(seeds) {
            let simulation = try Simulation(
                seed: number, operations: operations, folder: folder, isDigesting: digest)
            simulation.isTracing = trace
            try simulation.run()
            tally.add(simulation.tally)
            tally.add(Report.seeds)
            tally.add(Report.requests, simulation.sent)
            if digest {
                print(
                    "seed \(number) digest \(String(simulation.digest.value, radix: 16)) requests \(simulation.sent)"
                )
            }
            guard !simulation.history.violations.isEmpty else { continue }
            tally.add(Report.failures)
            for line in simulation.history.violations.prefix(5) { print("VIOLATION seed \(number): \(line)") }
            print("  again: otp-sim run --seeds 1 --seed \(number) --operations \(operations)")
            if tally[Report.failures] >= maxViolations { break }
        }
        return tally
    }

    /// This program again, once a part; what isn't a count is passed on.
    private func runInParts() throws -> Occurrences {
        var tally = Occurrences()
        var parts: [UnsafeMutablePointer<FILE>] = []
        for job in 0..<jobs {
            let (first, end) = (seeds * job / jobs, seeds * (job + 1) / jobs)
            guard end > first else { continue }
            let command =
                "exec /proc/\(getpid())/exe run --counts --seeds \(end - first) --seed \(seed + UInt64(first)) "
                + "--operations \(operations) --max-violations \(maxViolations)\(digest ? " --digest" : "")"
            guard let pipe = popen(command, "r") else {
                throw ValidationError("no process for a part: errno \(errno)")
            }
            parts.append(pipe)
        }
        var line = [CChar](repeating: 0, count: 4_096)
        for part in parts {
            while fgets(&line, 4_096, part) != nil {
                let text = String(
                    decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self
                )
                let fields = text.split(separator: "\t")
                if fields.count == 2, let count = Int(fields[1]) {
                    tally.add(String(fields[0]), count)
                } else {
                    print(text)
                }
            }
            let code = pclose(part)
            if code != 0, code != 1 << 8 {
                print("VIOLATION: a part ended with status \(code)")
                tally.add(Report.failures)
            }
        }
        return tally
    }
}
