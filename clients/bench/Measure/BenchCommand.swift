import ArgumentParser

/// `make bench`: everything that DESIGN's table of figures asks for, in one run on one machine.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract:
            "otpd, the floor and (--peers) Redis and PostgreSQL, side by side; writes bench-results/latest.{json,html}."
    )

    @Flag(help: "Measure Redis 7 and PostgreSQL 15 too (Debian's packages, started in temp folders).")
    var peers = false
    @Option(help: "Seconds of each load.")
    var seconds = 3.0
    @Option(help: "Repetitions of each load; the median is reported.")
    var repeats = 1
    @Option(help: "Clients of the closed loops, comma-separated.")
    var clients = "1,16,64"
    @Option(
        help:
            "Sizes of prefilled stores, comma-separated, such as 10000,10000000; the empty one is always there."
    )
    var records = ""
    @Option(help: "Seconds of the main job at 80 % of its sustained peak over 1 M customers, open loop, for stalls; 0 = not.")
    var sustained = 0.0
    @Option(help: "otpd's commit mode: auto, adaptive, inline or overlapped.")
    var commit = "auto"
    @Option(help: "Milliseconds of the slow disk.")
    var slowDisk = 5.0
    @Option(help: "The repository's clients/bench.")
    var sources = "clients/bench"
    @Option(help: "Seed of ids and arrivals.")
    var seed: UInt64 = 1

    func run() throws {
        let sizes = records.split(separator: ",").compactMap { Int($0) }
        let counts = clients.split(separator: ",").compactMap { Int($0) }
        guard !counts.isEmpty, counts.allSatisfy({ (1...1_000).contains($0) }), seconds > 0, repeats > 0
        else {
            throw ValidationError(
                "--clients takes numbers from 1 to 1,000, such as 1,16,64; --seconds and --repeats are above 0"
            )
        }
        var options = TargetOptions()
        options.commit = commit
        options.sources = sources
        var report = Report(
            command: CommandLine.arguments.map { $0.split(separator: "/").last.map { String($0) } ?? $0 }
                .joined(separator: " "),
            commit: Report.currentCommit(), seed: seed)
        print(
            "otp-bench bench: commit \(report.commit), seed \(seed), \(seconds) s a load, \(repeats) repetition(s), commit=\(commit)"
        )
        for (name, value) in report.machine.lines { print("  \(name): \(value)") }
        report.yardsticks = try Yardsticks.measure(seconds: min(1, seconds))
        let (sync, echo) = (Latency(report.yardsticks.sync), Latency(report.yardsticks.echo))
        print(
            "  journal sync: p50 \(Text.number(sync.p50)) µs, p99 \(Text.number(sync.p99)); socket echo: p50 \(Text.number(echo.p50)) µs\n"
        )
        var suite = Suite(
            report: report, options: options, counts: counts,
            timing: Session.Timing(warmUp: min(1, seconds / 3), seconds: seconds, repetitions: repeats),
            seed: seed)
        try suite.run(
            peers: peers, slowMicros: Int(slowDisk * 1_000),
            sizes: sizes, sustained: sustained)
        report = suite.report
        print("\n" + Text.table(Text.header, report.measurements.map(Text.row)))
        print("\n" + Text.table(Goal.header, Goals(report: report).rows.map(\.row)))
        for line in Processors(report: report).lines { print(line) }
        try report.save()
    }
}
