import ArgumentParser
import CSimMachine
import Glibc

/// `otp-sim flood`: a day of requests that are refused, on simulated clocks, beside honest log-ins.
struct FloodCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flood",
        abstract:
            "Simulate hours of refused requests; exit 1 if honest log-ins fail or anything grows beyond its bound."
    )

    @Option(help: "Simulated hours.")
    var hours = 24
    @Option(help: "Requests to be refused, a simulated second.")
    var rate = 5
    @Option(help: "The seed.")
    var seed: UInt64 = 1

    func validate() throws {
        guard hours > 0, rate > 0 else { throw ValidationError("--hours and --rate are 1 and more") }
    }

    func run() throws {
        let folder = "/dev/shm/otp-flood-\(getpid())"
        defer { removeFolder(folder) }
        let started = sim_machine_real_nanos()
        let flood = try Flood(seed: seed, rate: rate, folder: folder)
        try flood.begin()
        print("hour  refused    logins  verified  commits   events    database KiB  journal KiB  memory KiB")
        for hour in 1...hours {
            try flood.hour()
            print(flood.line(hour))
        }
        let seconds = (sim_machine_real_nanos() - started) / 1_000_000_000
        print(
            "seed \(seed), \(hours) h at \(rate) refused requests a second, in \(seconds) s; \(flood.statuses)"
        )
        let failures = flood.failures(hours: hours)
        for failure in failures { print("VIOLATION: \(failure)") }
        if !failures.isEmpty { throw ExitCode(1) }
    }
}
