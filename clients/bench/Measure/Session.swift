import CLinuxShim
import Glibc
import Histogram

/// A running target and the loads put on it, one after the other.
final class Session {
    /// Of one load: how long, how often.
    struct Timing {
        var warmUp = 0.5
        var seconds = 2.0
        var repetitions = 1
    }

    let target: any Target
    private let seed: UInt64
    private let probe: Probe?
    private let slowSyncMs: Double
    private var known: [Errand]
    private var nextShopper: UInt64
    private var rounds: UInt64 = 0
    /// Records in the data set that was there at the start.
    let records: Int

    init(_ kind: TargetKind, _ options: TargetOptions, seed: UInt64, dataset: Dataset? = nil) throws {
        self.seed = seed
        probe = options.probe
        slowSyncMs = Double(options.slowSyncMicros) / 1_000
        known = dataset?.known ?? []
        records = dataset?.records ?? 0
        nextShopper = UInt64(records) + seed % 1_000 * 10_000
        target = try start(kind, options)
    }

    /// Challenges for lookups, refusals and retries.
    func prepare(_ count: Int) throws {
        guard known.count < count else { return }
        var stream = LoadStream(mix: .request, clients: 16)
        stream.limit = count - known.count
        stream.keeps = true
        let engine = try makeEngine()
        let results = try engine.run([stream], warmUp: 0, seconds: 60, atStart: {}, atEnd: {})
        (known, nextShopper) = (engine.known, engine.nextShopper)
        guard known.count >= count else {
            throw BenchError("only \(known.count) challenges of \(count): \(results[0].outcomes)")
        }
    }

    private func makeEngine() throws -> any LoadRunner {
        rounds += 1
        return try target.makeEngine(seed: seed &+ rounds, known: known, firstShopper: nextShopper)
    }

    /// One measurement a stream; each from a thread of its own, and the target's own figures are the first one's.
    func measure(_ name: String, _ streams: [LoadStream], _ timing: Timing, spread: String = "fresh") throws
        -> [Measurement]
    {
        let load = try begin(name, streams, timing, spread: spread)
        for _ in 0..<timing.repetitions { try load.once() }
        return load.result
    }

    /// The same, repetition by repetition: other loads have theirs in between.
    func begin(_ name: String, _ streams: [LoadStream], _ timing: Timing, spread: String = "fresh") throws -> Load {
        if streams.contains(where: { $0.mix.needsKnown }) { try prepare(1_000) }
        return Load(self, streams, timing, streams.map {
            Measurement(
                name: name, target: target.kind, mix: $0.mix, clients: $0.clients, depth: $0.depth,
                offeredRate: $0.rate, spread: spread, records: records, slowSyncMs: slowSyncMs)
        })
    }

    /// Streams side by side on the target, again and again.
    final class Load {
        private let session: Session
        private let streams: [LoadStream]
        private let timing: Timing
        private var measurements: [Measurement]
        private var sums: [StreamResult]
        private var ends = Ends()

        fileprivate init(_ session: Session, _ streams: [LoadStream], _ timing: Timing, _ measurements: [Measurement]) {
            self.session = session
            self.streams = streams
            self.timing = timing
            self.measurements = measurements
            sums = streams.map { _ in StreamResult() }
        }

        func once() throws {
            let engine = try session.makeEngine()
            let beside = try streams.dropFirst().map { try SideLoad(try session.makeEngine(), $0, timing) }
            var results = try engine.run(
                Array(streams.prefix(1)), warmUp: timing.warmUp, seconds: timing.seconds,
                atStart: { ends.start(try session.instant()) }, atEnd: { ends.end(try session.instant()) })
            for side in beside { results.append(try side.finish()) }
            session.nextShopper = engine.nextShopper
            for index in streams.indices {
                measurements[index].add(repetition: results[index])
                sums[index].add(results[index])
            }
        }

        /// Of all repetitions so far.
        var result: [Measurement] {
            var found = measurements
            for index in streams.indices { found[index].take(sums[index]) }
            ends.fill(
                &found[0], replies: Double(max(1, sums.reduce(0) { $0 + $1.replies })),
                seconds: sums[0].seconds)
            return found
        }
    }

    /// Probe counts over a load of `limit` errands by one client.
    func counts(_ mix: Mix, limit: Int) throws -> (Probe.Snapshot, replies: Int) {
        guard let probe else { throw BenchError("counts need the probe") }
        if mix.needsKnown { try prepare(64) }
        var stream = LoadStream(mix: mix, clients: 1)
        stream.limit = limit
        let engine = try makeEngine()
        var (before, after) = (Probe.Snapshot(), Probe.Snapshot())
        let results = try engine.run(
            [stream], warmUp: 0, seconds: 60, atStart: { before = probe.snapshot() },
            atEnd: { after = probe.snapshot() })
        nextShopper = engine.nextShopper
        return (after - before, results[0].replies)
    }

    private func instant() throws -> Instant {
        Instant(
            process: ProcessSample(of: target.pid), journal: try target.journal(), probe: probe?.snapshot(),
            generator: ProcessSample.threads(of: getpid()).values.reduce(0, +))
    }

    /// What is read at both ends of the recorded time.
    private struct Instant {
        var process: ProcessSample
        var journal: (syncs: UInt64, bytes: UInt64)?
        var probe: Probe.Snapshot?
        /// The load generator's own time on a processor, nanoseconds.
        var generator: UInt64
    }

    /// Sums of the differences over the repetitions.
    private struct Ends {
        private var begun: Instant?
        private var last: Instant?
        private var (cpu, written, syncs, bytes, allocations, calls) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        private var threads: [String: Double] = [:]

        mutating func start(_ instant: Instant) { begun = instant }

        mutating func end(_ instant: Instant) {
            guard let begun else { return }
            cpu += Double(instant.process.cpuMicros &- begun.process.cpuMicros)
            for (name, nanos) in instant.process.threads {
                threads[name, default: 0] += Double(nanos &- (begun.process.threads[name] ?? 0)) / 1_000
            }
            threads[Measurement.generator, default: 0] += Double(instant.generator &- begun.generator) / 1_000
            written += Double((instant.process.writtenBytes ?? 0) &- (begun.process.writtenBytes ?? 0))
            if let a = instant.journal, let b = begun.journal {
                syncs += Double(a.syncs &- b.syncs)
                bytes += Double(a.bytes &- b.bytes)
            }
            if let a = instant.probe, let b = begun.probe {
                let difference = (a - b).total
                allocations += Double(difference[.allocations])
                calls += Double(difference.calls)
                bytes += Double(difference[.journalBytes])
            }
            last = instant
        }

        func fill(_ m: inout Measurement, replies: Double, seconds: Double) {
            guard let last else { return }
            m.cpuMicrosPerReply = cpu / replies
            m.threadMicrosPerReply = threads.mapValues { $0 / replies }
            m.privateBytes = last.process.privateBytes
            if last.process.writtenBytes != nil { m.writtenBytesPerReply = written / replies }
            if last.journal != nil { m.syncsPerSecond = seconds > 0 ? syncs / seconds : 0 }
            if bytes > 0 { m.journalBytesPerReply = bytes / replies }
            if last.probe != nil {
                m.allocationsPerReply = allocations / replies
                m.callsPerReply = calls / replies
            }
        }
    }
}

/// A prefilled store, and some of its challenges.
struct Dataset {
    var folder: String
    var records: Int
    var known: [Errand]
}
