/// DESIGN's figures, row by row, from what was measured.
struct Goal {
    var what: String
    var goal: String
    var ours: String
    var floor: String
    var peers: String
    var ratio: String
    /// nil = not measured in this run.
    var isMet: Bool?

    static let header = ["what", "goal", "ours", "floor", "peers", "ratio", "met"]
    var row: [String] {
        [what, goal, ours, floor, peers, ratio, isMet.map { $0 ? "yes" : "NO" } ?? "not measured"]
    }
}

/// The table of goals.
struct Goals {
    let report: Report

    var rows: [Goal] {
        [1, 16, 64].map(writes) + [
            singleWrite, lookups, lookupsUnderWrites, lookupsOnSlowDisk, groupCommit, scale, sustained,
            restart, memory,
            allocations,
        ]
    }

    private func find(_ target: TargetKind, _ name: String, clients: Int? = nil) -> Measurement? {
        report.closedLoop(target, name, clients: clients)
    }

    private func ratio(_ a: Double?, _ b: Double?) -> Double? {
        guard let a, let b, b > 0 else { return nil }
        return a / b
    }

    private func peers(_ name: String, clients: Int, ours: Measurement?) -> String {
        let texts = [TargetKind.redisAlways, .redisEverysec, .postgres].compactMap { kind -> String? in
            guard let peer = find(kind, name, clients: clients) else { return nil }
            return
                "\(kind.rawValue) \(Text.number(peer.rate)) (\(Text.number(ratio(ours?.rate, peer.rate)))×)"
        }
        return texts.isEmpty ? "–" : texts.joined(separator: ", ")
    }

    private func writes(_ clients: Int) -> Goal {
        let (ours, floor) = (find(.otpd, "cycle", clients: clients), find(.floor, "cycle", clients: clients))
        let part = ratio(ours?.rate, floor?.rate)
        return Goal(
            what: "durable RequestCode + Verify, \(clients) client\(clients == 1 ? "" : "s"), writes/s",
            goal: "≥ 0.75 of the floor",
            ours: Text.number(ours?.rate), floor: Text.number(floor?.rate),
            peers: peers("cycle", clients: clients, ours: ours),
            ratio: Text.number(part), isMet: part.map { $0 >= 0.75 })
    }

    private var singleWrite: Goal {
        let ours = find(.otpd, "cycle", clients: 1)?.all.p50
        let least = (Latency(report.yardsticks.sync).p50 + Latency(report.yardsticks.echo).p50)
        let part = ratio(ours, least)
        return Goal(
            what: "durable write, 1 client, p50 µs",
            goal: "≤ 1.25 × (journal sync + socket echo) = \(Text.number(1.25 * least))",
            ours: Text.number(ours), floor: Text.number(find(.floor, "cycle", clients: 1)?.all.p50),
            peers: [TargetKind.redisAlways, .postgres].compactMap { kind in
                find(kind, "cycle", clients: 1).map { "\(kind.rawValue) \(Text.number($0.all.p50))" }
            }.joined(separator: ", "), ratio: Text.number(part), isMet: part.map { $0 <= 1.25 })
    }

    private var lookups: Goal {
        let (ours, echo) = (find(.otpd, "lookup", clients: 64), find(.echo, "lookup", clients: 64))
        let part = ratio(ours?.rate, echo?.rate)
        return Goal(
            what: "lookups, 64 clients, replies/s", goal: "≥ 0.80 of the floor's echo",
            ours: Text.number(ours?.rate),
            floor: Text.number(echo?.rate), peers: peers("lookup", clients: 64, ours: ours),
            ratio: Text.number(part),
            isMet: part.map { $0 >= 0.8 })
    }

    /// Idle: the same rate of lookups without writes beside it. A turn: the time between two syncs under this load.
    private var lookupsUnderWrites: Goal {
        let idle = report.measurements.first { $0.target == .otpd && $0.name == "lookup idle" }
        let writes = report.measurements.first {
            $0.target == .otpd && $0.name == "lookup under writes" && $0.mix == .cycle
        }
        let looks = report.measurements.first {
            $0.target == .otpd && $0.name == "lookup under writes" && $0.mix == .lookup
        }
        let turn = writes?.syncsPerSecond.map { $0 > 0 ? 1e6 / $0 : 0 }
        let bound = idle.flatMap { idle in turn.map { idle.p99 + 2 * $0 } }
        return Goal(
            what: "lookup p99 under full write load, µs",
            goal: "≤ idle p99 + 2 turns = \(Text.number(bound))", ours: Text.number(looks?.p99),
            floor: "–", peers: "–", ratio: Text.number(ratio(looks?.p99, bound)),
            isMet: looks.flatMap { looks in bound.map { looks.p99 <= $0 } })
    }

    private var slow: [Measurement] { report.measurements.filter { $0.target == .otpd && $0.slowSyncMs > 0 } }

    private var lookupsOnSlowDisk: Goal {
        let looks = slow.first { $0.mix == .lookup }
        return Goal(
            what: "lookup p99 with \(Text.number(looks?.slowSyncMs ?? 5)) ms syncs, 64 clients, µs",
            goal: "≤ 1,000",
            ours: Text.number(looks?.p99), floor: "–", peers: "–",
            ratio: Text.number(ratio(looks?.p99, 1_000)),
            isMet: looks.map { $0.p99 <= 1_000 })
    }

    private var groupCommit: Goal {
        let (one, many) = (
            slow.first { $0.name == "cycle" && $0.clients == 1 },
            slow.first { $0.name == "cycle" && $0.clients == 64 }
        )
        let part = ratio(many?.rate, one?.rate)
        return Goal(
            what: "writes/s with slow syncs, 64 clients against 1", goal: "scales with clients: ≥ 32×",
            ours: Text.number(many?.rate),
            floor: Text.number(one?.rate) + " (1 client)", peers: "–", ratio: Text.number(part),
            isMet: part.map { $0 >= 32 })
    }

    private var scale: Goal {
        let sizes = report.measurements.filter {
            $0.target == .otpd && $0.name == "cycle" && $0.records > 0 && $0.offeredRate == nil
                && $0.slowSyncMs == 0
        }
        .sorted { $0.records < $1.records }
        guard let small = sizes.first, let large = sizes.last, large.records > small.records else {
            return Goal(
                what: "10 M records against 10 k, writes/s and p99", goal: "within 15 %", ours: "–",
                floor: "–", peers: "–", ratio: "–", isMet: nil)
        }
        let (rate, tail) = (
            ratio(large.rate, small.rate) ?? 0, ratio(large.p99, small.p99) ?? .infinity
        )
        return Goal(
            what:
                "\(Text.number(Double(large.records))) records against \(Text.number(Double(small.records))), writes/s and p99",
            goal: "within 15 %", ours: "\(Text.number(large.rate)), \(Text.number(large.p99)) µs",
            floor: "\(Text.number(small.rate)), \(Text.number(small.p99)) µs (small)", peers: "–",
            ratio: "\(Text.number(rate)), \(Text.number(tail))",
            isMet: large.records >= 10_000_000 ? rate >= 0.85 && tail <= 1.15 : nil)
    }

    private var sustained: Goal {
        let long = report.measurements.first { $0.name == "sustained" }
        return Goal(
            what: "p99.9 at 80 % of the sustained peak, µs", goal: "≤ 20,000",
            ours: Text.number(long?.all.p999),
            floor: long?.offeredRate.map { "at \(Text.number(2 * $0)) writes/s, 1 M customers" } ?? "–",
            peers: "–", ratio: Text.number(ratio(long?.all.p999, 20_000)),
            isMet: long.map { $0.all.p999 <= 20_000 })
    }

    private var restart: Goal {
        let ms = report.restartMs
        return Goal(
            what: "first reply after kill -9, \(Text.number(Double(report.largestDataset))) records, ms",
            goal: "≤ 200 with 10 M",
            ours: Text.number(ms), floor: "–", peers: "–", ratio: Text.number(ms.map { $0 / 200 }),
            isMet: ms.map { $0 <= 200 })
    }

    private var memory: Goal {
        let bound = 64.0 + Report.overlayMiB
        let most = report.measurements.filter { $0.target == .otpd }.map(\.privateBytes).max().map {
            Double($0) / 1_048_576
        }
        return Goal(
            what: "private memory (RssAnon), MiB",
            goal: "≤ 64 + overlay bound (\(Text.number(Report.overlayMiB)))", ours: Text.number(most),
            floor: "–",
            peers: [TargetKind.redisAlways, .postgres].compactMap { kind in
                report.measurements.filter { $0.target == kind }.map(\.privateBytes).max().map {
                    "\(kind.rawValue) \(Text.bytes($0))"
                }
            }.joined(separator: ", "), ratio: Text.number(ratio(most, bound)), isMet: most.map { $0 <= bound }
        )
    }

    private var allocations: Goal {
        let cycle = report.counts.first { $0.mix == .cycle }
        return Goal(
            what: "heap allocations per request on the event loop (cycle)", goal: "0 in Wire, Engine, Store",
            ours: Text.number(cycle?.allocations), floor: "0", peers: "–", ratio: "–",
            isMet: cycle.map { $0.allocations < 0.01 })
    }
}
