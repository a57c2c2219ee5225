import CLinuxShim
import Glibc
import Wire

/// The loads of `otp-bench bench`, in order.
struct Suite {
    private(set) var report: Report
    let options: TargetOptions
    let counts: [Int]
    let timing: Session.Timing
    let seed: UInt64

    mutating func run(peers: Bool, slowMicros: Int, sizes: [Int], sustained: Double) throws {
        let others: [TargetKind] = peers ? [.redisAlways, .redisEverysec, .postgres] : []
        try sideBySide([.echo, .floor, .otpd] + others)
        try against(.echo) { try $0.ceiling($1) }
        try against(.floor) { try $0.open($1) }
        try against(.otpd) { suite, session in
            try suite.own(session)
            try suite.requestsAlone()
        }
        try slowDisk(slowMicros)
        if sustained > 0 { try sustain(seconds: sustained) }
        for kind in others where kind != .redisEverysec { try against(kind) { try $0.open($1) } }
        for size in sizes { try scale(size) }
        try count()
    }

    private mutating func against(
        _ kind: TargetKind, _ options: TargetOptions? = nil, dataset: Dataset? = nil,
        _ body: (inout Suite, Session) throws -> Void
    ) throws {
        progress("\(kind.title)")
        let session = try Session(kind, options ?? self.options, seed: seed, dataset: dataset)
        try body(&self, session)
        try session.target.stop()
    }

    private func progress(_ text: String) {
        print("  \(text)")
        fflush(nil)
    }

    private mutating func add(_ found: [Measurement]) {
        for m in found { progress("    \(Text.row(m).prefix(7).joined(separator: "  "))  \(m.outcomes)") }
        report.measurements += found
    }

    // MARK: loads

    private mutating func closed(_ session: Session, _ mix: Mix = .cycle, clients: [Int]? = nil) throws {
        for count in clients ?? counts {
            add(try session.measure(mix.rawValue, [LoadStream(mix: mix, clients: count)], timing))
        }
    }

    /// What is compared, on all targets in turn, repetition by repetition: what the machine does meanwhile meets all of them.
    private mutating func sideBySide(_ kinds: [TargetKind]) throws {
        progress("side by side: \(kinds.map(\.rawValue).joined(separator: ", "))")
        let sessions = try kinds.map { try Session($0, options, seed: seed) }
        let many = counts.last ?? 64
        for count in counts { try inTurn(sessions.map { ($0, .cycle, count) }) }
        for count in counts where count != many {
            try inTurn(sessions.filter { $0.target.kind == .echo || $0.target.kind == .otpd }.map { ($0, .lookup, count) })
        }
        try inTurn(sessions.filter { $0.target.kind != .floor }.map { ($0, .lookup, many) })
        for session in sessions { try session.target.stop() }
    }

    private mutating func inTurn(_ parts: [(session: Session, mix: Mix, clients: Int)]) throws {
        try inTurn(
            parts.map { try $0.session.begin($0.mix.rawValue, [LoadStream(mix: $0.mix, clients: $0.clients)], timing) })
    }

    private mutating func inTurn(_ loads: [Session.Load]) throws {
        for _ in 0..<timing.repetitions {
            for load in loads { try load.once() }
        }
        for load in loads { add(load.result) }
    }

    /// The load generator's own ceiling when it pipelines.
    private mutating func ceiling(_ session: Session) throws {
        var deep = LoadStream(mix: .lookup, clients: 16)
        deep.depth = 16
        add(try session.measure("lookup pipelined", [deep], timing))
    }

    /// Latency over load: parts of the peak that the closed loop reached.
    private mutating func open(_ session: Session) throws {
        guard
            let peak = report.measurements.filter({ $0.target == session.target.kind && $0.name == "cycle" })
                .map(\.rate).max()
        else { return }
        for part in [0.1, 0.3, 0.5, 0.7, 0.8, 0.9] {
            var stream = LoadStream(mix: .cycle, clients: counts.last ?? 64)
            stream.rate = max(1, part * peak / 2)
            add(try session.measure("open", [stream], timing))
        }
    }

    private mutating func own(_ session: Session) throws {
        let many = counts.last ?? 64
        for mix in [Mix.guess, .refusal, .retry] {
            try closed(session, mix, clients: [min(16, many)])
        }
        var deep = LoadStream(mix: .cycle, clients: min(16, many))
        deep.depth = 4
        add(try session.measure("cycle pipelined", [deep], timing))
        try lookupsUnderWrites(session, many)
        for spread in ["uniform:100000", "zipf:100000", "hot"] {
            var stream = LoadStream(mix: .cycle, clients: min(16, many))
            if let keys = KeySpread(spread) { stream.spread = keys }
            add(try session.measure("spread", [stream], timing, spread: spread))
        }
        try open(session)
    }

    /// Of a server of its own, once: nobody verifies, so their messages wait, and at 400,000 of them otpd says that it is overloaded.
    private mutating func requestsAlone() throws {
        let once = Session.Timing(warmUp: timing.warmUp, seconds: timing.seconds, repetitions: 1)
        try against(.otpd) { suite, session in
            suite.add(try session.measure(Mix.request.rawValue, [LoadStream(mix: .request, clients: 16)], once))
        }
    }

    /// A steady rate of lookups alone, then the same beside all the writes that `many` clients can make.
    private mutating func lookupsUnderWrites(_ session: Session, _ many: Int) throws {
        var looks = LoadStream(mix: .lookup, clients: many)
        looks.rate = 2_000
        try inTurn([
            session.begin("lookup idle", [looks], timing),
            session.begin("lookup under writes", [LoadStream(mix: .cycle, clients: many), looks], timing),
        ])
    }

    /// Customers of the shop in the long run.
    private static let customers = 1_000_000

    /// Long enough for checkpoints, segments and the disk's own rate to show, with customers who come again and again: what the closed loop
    /// keeps up over a minute is the sustained peak (a burst is quicker, because memory takes it); then 80 % of it, arrivals whatever happens.
    private mutating func sustain(seconds: Double) throws {
        try prefilled(Suite.customers) { suite, session, dataset in
            try dataset.warm()
            guard let spread = KeySpread("uniform:\(Suite.customers)") else { return }
            var stream = LoadStream(mix: .cycle, clients: suite.counts.last ?? 64)
            stream.spread = spread
            let name = "uniform:\(Suite.customers)"
            // Those who were just sent a code may not be sent another for half a minute.
            let peak = try session.measure(
                "sustained peak", [stream], Session.Timing(warmUp: min(35, seconds), seconds: min(60, seconds)),
                spread: name)
            suite.add(peak)
            stream.rate = max(1, 0.8 * peak[0].rate / 2)
            suite.add(
                try session.measure(
                    "sustained", [stream], Session.Timing(warmUp: suite.timing.warmUp, seconds: seconds),
                    spread: name))
        }
    }

    private mutating func slowDisk(_ micros: Int) throws {
        var options = options
        options.slowSyncMicros = micros
        let clients = [1, 16, 64]
        try against(.otpd, options) { suite, session in
            var looks = LoadStream(mix: .lookup, clients: 64)
            looks.rate = 2_000
            try suite.inTurn(
                clients.map { try session.begin("cycle", [LoadStream(mix: .cycle, clients: $0)], suite.timing) } + [
                    session.begin("lookup under writes", [LoadStream(mix: .cycle, clients: 64), looks], suite.timing)
                ])
        }
    }

    /// A server on a store of so many records, whose file isn't in memory yet.
    private mutating func prefilled(
        _ records: Int, _ body: (inout Suite, Session, Dataset) throws -> Void
    ) throws {
        progress("\(Text.number(Double(records))) records, prefilled")
        let scratch = try Scratch("data")
        // A process of its own: its memory goes with it.
        try Child.run(
            CommandLine.arguments[0],
            ["prefill", "--folder", scratch.path, "--records", "\(records)", "--seed", "\(seed)"])
        let dataset = try Dataset.open(scratch.path)
        try dataset.evict()
        var options = options
        options.dataset = scratch.path
        try against(.otpd, options, dataset: dataset) { try body(&$0, $1, dataset) }
    }

    /// The main job and lookups over a prefilled store, then kill -9 and the first reply.
    private mutating func scale(_ records: Int) throws {
        try prefilled(records) { suite, session, dataset in
            let many = [suite.counts.last ?? 64]
            // The tree isn't in memory yet; then all of it is read once, so that what follows finds it in the page cache.
            let cold = LoadStream(mix: .lookup, clients: many[0])
            suite.add(
                try session.measure(
                    "lookup cold", [cold], Session.Timing(warmUp: 0, seconds: suite.timing.seconds)))
            try dataset.warm()
            try suite.closed(session, .lookup, clients: many)
            try suite.closed(session, clients: many)
            guard let target = session.target as? OTPDTarget else { return }
            suite.report.restartMs = try target.restartAfterKill()
            suite.progress("    first reply after kill -9: \(Text.number(suite.report.restartMs)) ms")
        }
    }

    /// Counts of one client, with the probe preloaded.
    private mutating func count() throws {
        var options = options
        options.probe = try Probe()
        progress("counts per request")
        let session = try Session(.otpd, options, seed: seed)
        for mix in Mix.allCases { report.counts.append(try Suite.count(session, mix, errands: 200)) }
        try session.target.stop()
    }

    /// Per reply, on the event loop's thread; the first errands only warm up.
    static func count(_ session: Session, _ mix: Mix, errands: Int) throws -> Report.Counts {
        _ = try session.counts(mix, limit: 20)
        let (snapshot, replies) = try session.counts(mix, limit: errands)
        let loop = snapshot.loop
        func each(_ value: UInt64) -> Double { Double(value) / Double(max(1, replies)) }
        return Report.Counts(
            mix: mix, replies: replies, allocations: each(loop[.allocations]),
            allocatedBytes: each(loop[.allocatedBytes]),
            calls: each(loop.calls), syncs: each(snapshot.total[.syncs]),
            journalBytes: each(snapshot.total[.journalBytes]))
    }
}
