import ArgumentParser

/// One measurement, for a developer who changes something and looks.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "One load on one server: closed loop (clients, depth) or open loop (rate).",
        discussion: """
            otp-bench load --clients 64                          the main job, closed loop
            otp-bench load --rate 5000                           the main job, 5,000 a second whatever the replies do
            otp-bench load --mix lookup --slow-disk 5            lookups while each sync takes 5 ms longer
            otp-bench load --clients 64 --lookups 2000           and lookups beside it, from a thread of their own
            otp-bench load --target redis-always --clients 16    the same rules in Redis
            """)

    @Option(help: "otpd, floor, echo, redis-always, redis-everysec or postgres.")
    var target = "otpd"
    @Option(help: "cycle, request, guess, lookup, refusal or retry.")
    var mix = "cycle"
    @Option(help: "Connections.")
    var clients = 16
    @Option(help: "Closed loop: errands at a time on each connection.")
    var depth = 1
    @Option(help: "Open loop: errands a second over all connections; a cycle is an errand of two requests.")
    var rate: Double?
    @Option(help: "Lookups a second beside it, over as many connections, open loop.")
    var lookups: Double?
    @Option(help: "Which shoppers: fresh, uniform:N, zipf:N or hot.")
    var spread = "fresh"
    @Option(help: "Seconds that count.")
    var seconds = 2.0
    @Option(help: "Seconds before them.")
    var warmUp = 0.5
    @Option(help: "Repetitions; the median is reported.")
    var repeats = 1
    @Option(help: "otpd's commit mode: auto, adaptive, inline or overlapped.")
    var commit = "auto"
    @Option(help: "Milliseconds added to each of otpd's syncs.")
    var slowDisk = 0.0
    @Option(help: "A folder that `otp-bench prefill` made; otpd writes to it.")
    var dataset: String?
    @Flag(help: "Count allocations and system calls (slower).")
    var count = false
    @Option(help: "The repository's clients/bench.")
    var sources = "clients/bench"
    @Option(help: "Seed of ids and arrivals.")
    var seed: UInt64 = 1

    func run() throws {
        guard let kind = TargetKind(rawValue: target) else {
            throw ValidationError(
                "--target is one of \(TargetKind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let mix = Mix(rawValue: mix) else {
            throw ValidationError("--mix is one of \(Mix.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let keys = KeySpread(spread) else {
            throw ValidationError("--spread is fresh, uniform:N, zipf:N or hot")
        }
        guard (1...1_000).contains(clients), (1...64).contains(depth), rate ?? 1 > 0, lookups ?? 1 > 0, seconds > 0, repeats > 0
        else {
            throw ValidationError(
                "--clients is 1 to 1,000, --depth 1 to 64, --rate, --lookups, --seconds and --repeats above 0")
        }
        var options = TargetOptions()
        options.commit = commit
        options.slowSyncMicros = Int(slowDisk * 1_000)
        options.sources = sources
        options.dataset = dataset
        if count { options.probe = try Probe() }
        let session = try Session(
            kind, options, seed: seed, dataset: try dataset.map { try Dataset.open($0) })
        var stream = LoadStream(mix: mix, clients: clients)
        stream.depth = depth
        stream.rate = rate
        stream.spread = keys
        let timing = Session.Timing(warmUp: warmUp, seconds: seconds, repetitions: repeats)
        var streams = [stream]
        if let lookups {
            var looks = LoadStream(mix: .lookup, clients: clients)
            looks.rate = lookups
            streams.append(looks)
        }
        let found = try session.measure(mix.rawValue, streams, timing, spread: spread)
        print(Text.table(Text.header, found.map(Text.row)))
        for m in found {
            print(
                "outcomes: \(m.outcomes); unanswered \(m.unanswered); repetitions \(m.rates.map { Text.number($0) }.joined(separator: " "))"
            )
            for (name, latency) in m.latencies {
                print(
                    "  \(name): \(latency.count), p50 \(Text.number(latency.p50)) µs, p90 \(Text.number(latency.p90)), p99 \(Text.number(latency.p99)), p99.9 \(Text.number(latency.p999)), max \(Text.number(latency.max))"
                )
            }
            if let line = Processors.line(m) { print("  \(line)") }
            if let allocations = m.allocationsPerReply, let calls = m.callsPerReply {
                print(
                    "  allocations per reply \(Text.number(allocations)), system calls per reply \(Text.number(calls)) (all threads)"
                )
            }
        }
        try session.target.stop()
        print("seed \(seed), commit \(Report.currentCommit())")
    }
}
