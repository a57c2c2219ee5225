import Glibc

/// All that one run found, and where it goes.
struct Report {
    static let folder = "bench-results"
    /// otpd's configured overlay bound: two tables of 48 MiB of records, 5 MiB of entries, 1 MiB of slots (StoreOptions).
    static let overlayMiB = 108.0

    /// Counts of one mix, one client, on the event loop's thread, per reply.
    struct Counts {
        var mix: Mix
        var replies: Int
        var allocations: Double
        var allocatedBytes: Double
        var calls: Double
        var syncs: Double
        var journalBytes: Double
    }

    var command: String
    var commit: String
    var seed: UInt64
    var machine = Machine()
    var yardsticks = Yardsticks()
    var measurements: [Measurement] = []
    var counts: [Counts] = []
    /// Of a restart after kill -9, with the largest data set.
    var restartMs: Double?

    var smallestDataset: Int { measurements.filter { $0.target == .otpd }.map(\.records).min() ?? 0 }
    var largestDataset: Int { measurements.map(\.records).max() ?? 0 }

    /// On the smallest data set, the disk as it is.
    func closedLoop(_ target: TargetKind, _ name: String, clients: Int? = nil) -> Measurement? {
        measurements.first {
            $0.target == target && $0.name == name && (clients == nil || $0.clients == clients) && $0.offeredRate == nil
                && $0.records == smallestDataset && $0.slowSyncMs == 0
        }
    }

    static func makeFolder(_ path: String) throws {
        var made = ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else {
                throw BenchError("\(made): \(String(cString: strerror(errno)))")
            }
        }
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw BenchError("\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        guard fputs(text, file) >= 0 else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
    }

    /// `latest.json` and `latest.html`.
    func save() throws {
        try Report.makeFolder(Report.folder)
        try Report.write(json.text, to: Report.folder + "/latest.json")
        try Report.write(Page(report: self).html, to: Report.folder + "/latest.html")
        print("\nwritten: \(Report.folder)/latest.json, \(Report.folder)/latest.html")
    }

    private func json(_ l: Latency) -> JSON {
        .object([
            ("count", .number(Double(l.count))), ("p50_us", .number(l.p50)), ("p90_us", .number(l.p90)),
            ("p99_us", .number(l.p99)),
            ("p99_9_us", .number(l.p999)), ("max_us", .number(l.max)),
        ])
    }

    private func json(_ m: Measurement) -> JSON {
        .object([
            ("name", .string(m.name)), ("target", .string(m.target.rawValue)),
            ("mix", .string(m.mix.rawValue)),
            ("loop", .string(m.offeredRate == nil ? "closed" : "open")),
            ("clients", .number(Double(m.clients))),
            ("depth", .number(Double(m.depth))), ("offered_errands_per_second", .optional(m.offeredRate)),
            ("spread", .string(m.spread)), ("records", .number(Double(m.records))),
            ("slow_sync_ms", .number(m.slowSyncMs)),
            ("replies_per_second", .number(m.rate)), ("repetitions", .array(m.rates.map { .number($0) })),
            ("p99_us_repetitions", .array(m.tails.map { .number($0) })),
            ("latency", .object([("all", json(m.all))] + m.latencies.map { ($0.0, json($0.1)) })),
            ("outcomes", .string(m.outcomes)), ("unanswered", .number(Double(m.unanswered))),
            ("syncs_per_second", .optional(m.syncsPerSecond)),
            ("journal_bytes_per_reply", .optional(m.journalBytesPerReply)),
            ("written_bytes_per_reply", .optional(m.writtenBytesPerReply)),
            ("cpu_us_per_reply", .number(m.cpuMicrosPerReply)),
            (
                "cpu_us_per_reply_by_thread",
                .object(m.threadMicrosPerReply.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })
            ),
            ("private_bytes", .number(Double(m.privateBytes))),
            ("allocations_per_reply", .optional(m.allocationsPerReply)),
            ("system_calls_per_reply", .optional(m.callsPerReply)),
        ])
    }

    private func json(_ c: Counts) -> JSON {
        .object([
            ("mix", .string(c.mix.rawValue)), ("replies", .number(Double(c.replies))),
            ("allocations_per_reply", .number(c.allocations)),
            ("allocated_bytes_per_reply", .number(c.allocatedBytes)),
            ("system_calls_per_reply", .number(c.calls)),
            ("syncs_per_reply", .number(c.syncs)), ("journal_bytes_per_reply", .number(c.journalBytes)),
        ])
    }

    var json: JSON {
        .object([
            ("format", .number(1)), ("command", .string(command)), ("commit", .string(commit)),
            ("seed", .number(Double(seed))),
            ("machine", .object(machine.lines.map { ($0.0, .string($0.1)) })),
            (
                "yardsticks",
                .object([
                    ("sync", json(Latency(yardsticks.sync))), ("socket_echo", json(Latency(yardsticks.echo))),
                ])
            ),
            ("measurements", .array(measurements.map { json($0) })),
            ("counts", .array(counts.map { json($0) })),
            ("restart_ms", .optional(restartMs)),
            (
                "goals",
                .array(
                    Goals(report: self).rows.map { goal in
                        .object(
                            zip(Goal.header.dropLast(), goal.row).map { ($0, .string($1)) }
                                + [("met", goal.isMet.map { .bool($0) } ?? .null)])
                    })
            ),
        ])
    }

    /// The commit of the working folder.
    static func currentCommit() -> String {
        guard let scratch = try? Scratch("git") else { return "?" }
        let out = scratch.path + "/out"
        try? Child.run("git", ["describe", "--always", "--dirty", "--abbrev=10"], log: out)
        let text = contents(out)?.split(separator: "\n").first.map { String($0) }
        return text.flatMap { $0.hasPrefix("fatal") ? nil : $0 } ?? "?"
    }
}
