import CLinuxShim
import Engine
import Glibc
import Store

/// The two phases: traffic with its lines and verdicts, then time alone.
extension ChurnRun {
    /// Challenges of one printed line.
    private var windowSize: Int { max(1_000, challenges / 40) }

    func load(_ verdicts: inout Verdicts) throws {
        say(
            "created  hours  |  rows: challenge slot phone account streak grant outbox event subject reference mark  |  file MB, used %, depth, "
                + "lag  |  commit us p50/p99/max, beside a checkpoint  |  checkpoint us  |  overlay  |  waited ms, longest  |  checkpoint MB  |  RssAnon MB"
        )
        let started = linux_monotonic_nanos()
        var lines: [Line] = []
        var target = windowSize
        while traffic.created < challenges {
            if try !batch(creatingUpTo: challenges) { advance(creatingUpTo: challenges) }
            if traffic.created >= min(target, challenges) {
                lines.append(line())
                target += windowSize
            }
            if pace > 0 { keepPace(started) }
        }
        let seconds = Double(linux_monotonic_nanos() - started) / 1e9
        say(
            "created \(traffic.created) in \(Int(seconds)) s: \(Int(Double(traffic.created) / seconds)) challenges/s, "
                + "\(Int(Double(requests) / seconds)) requests/s; \(outcomes.text)")
        try judge(lines, &verdicts)
    }

    /// What a window has shown.
    struct Line {
        var commits: Int
        var commitP99: UInt64
        var longestWait: UInt64
        var challengeRows: UInt64
        var privateKiB: Int
        var checkpointKiB: Int
    }

    private func keepPace(_ started: UInt64) {
        let due = started + UInt64(traffic.created) * 1_000_000_000 / UInt64(pace)
        let real = linux_monotonic_nanos()
        if due > real + 1_000_000 { usleep(UInt32((due - real) / 1_000)) }
    }

    private func line() -> Line {
        let (s, w) = (store.statistics, window)
        window = Window()
        let memory = Probe.residentPrivateKiB()
        let file = s.file
        say(
            "\(traffic.created)  \((now - ChurnRun.start) / 3_600_000)  |  "
                + file.rows.map { "\($0)" }.joined(separator: " ")
                + "  |  \(file.filePages / 256), \(file.usedPages * 100 / max(1, file.filePages)), \(file.treeDepth), \(file.readerLag)"
                + "  |  \(Window.text(w.commits)), \(Window.text(w.disturbed))  |  \(w.checkpoints.count) x \(Window.text(w.checkpoints))"
                + "  |  \(w.overlayPeak)  |  \(w.waited / 1_000_000), \(w.longestWait / 1_000_000)  |  \(w.usualCheckpointBytes >> 20)  |  \(memory / 1_024)"
        )
        let challenges = file.rows.isEmpty ? 0 : file.rows[Int(Table.challenge.rawValue)]
        return Line(
            commits: w.commits.count, commitP99: Window.percentile(w.commits, 99), longestWait: w.longestWait,
            challengeRows: challenges, privateKiB: memory, checkpointKiB: Int(w.usualCheckpointBytes >> 10))
    }

    // MARK: verdicts

    private func judge(_ lines: [Line], _ verdicts: inout Verdicts) throws {
        // Until the first challenges have ended there are fewer than LIVE.
        let steady = lines.dropFirst(lines.count / 10 + 1)
        let bound = UInt64(live) * 5 / 4
        let most = steady.map(\.challengeRows).max() ?? 0
        verdicts.require(
            most <= bound, "challenge rows stay near \(live) live ones: at most \(most) (bound \(bound))")
        judgeCommits(steady, &verdicts)
        let wait = (steady.map(\.longestWait).max() ?? 0) / 1_000_000
        verdicts.require(
            wait < 1_000,
            "admission slows, and no write is overloaded: the longest wait was \(wait) ms (bound 1,000)")
        judgeMemory(steady, &verdicts)
        let unexpected = outcomes.counts.filter { !Self.expected.contains($0.key) }
        verdicts.require(unexpected.isEmpty, "nothing is answered otherwise than it must be: \(unexpected)")
        try judgeFile(&verdicts)
    }

    /// LMDB never gives back the pages that a transaction has written to (its pool of dirty pages), so that memory grows to what a
    /// checkpoint's largest transaction needs (4,096 keys), and the leaves that those touch become more with the tables until each key has
    /// its own. Nothing else may grow.
    private func judgeMemory(_ steady: ArraySlice<Line>, _ verdicts: inout Verdicts) {
        guard let first = steady.first, let last = steady.last else { return }
        let (before, after) = (first.checkpointKiB, steady.map(\.checkpointKiB).max() ?? 0)
        let pool = max(0, after - before)
        verdicts.require(
            last.privateKiB <= first.privateKiB + pool + 16_384,
            "private memory stays: \(first.privateKiB >> 10) MiB early, \(last.privateKiB >> 10) MiB at the end; a checkpoint wrote "
                + "\(before >> 10) MiB early, \(after >> 10) MiB at last (bound +16 and the difference of those)")
    }

    /// A p99 needs a thousand commits in each line, and a trend needs lines: a short run has too few to say anything.
    private func judgeCommits(_ steady: ArraySlice<Line>, _ verdicts: inout Verdicts) {
        let third = max(1, steady.count / 3)
        let early = Window.percentile(steady.prefix(third).map(\.commitP99), 50) / 1_000
        let late = Window.percentile(steady.suffix(third).map(\.commitP99), 50) / 1_000
        let text = "commit p99: \(early) us in the first third, \(late) us in the last"
        guard steady.count >= 20, steady.allSatisfy({ $0.commits >= 1_000 }) else {
            return say("not judged, fewer than 20 lines of 1,000 commits: \(text)")
        }
        verdicts.require(late * 2 <= early * 3, "\(text) (bound x1.5)")
    }

    /// Refusals that the rules make: two challenges of one shopper at the same time.
    private static let expected: Set = [
        "RequestCode", "RequestCode limited", "Report", "Cancel", "Guess wrongCode", "Verify", "Resend",
        "Resend limited", "Redeem",
    ]

    private func judgeFile(_ verdicts: inout Verdicts) throws {
        try store.checkpointNow(now: now)
        guard let compact = Probe.compactedBytes(of: root + "/data/lmdb", into: root + "/compact") else {
            throw ChurnError("mdb_copy -c failed: is lmdb-utils installed?")
        }
        // Behind LMDB's last page lies what is reserved for the next checkpoint: up to 100 MiB, at any size of the file.
        let (length, size) = (Probe.bytes(root + "/data/lmdb/data.mdb"), Int(store.statistics.file.filePages) * 4_096)
        verdicts.require(
            size <= 3 * compact && length <= size + 100 << 20,
            "data file \(size >> 20) MiB (\(length >> 20) with its reserve), compacted \(compact >> 20) MiB: "
                + "x\(Double(size * 100 / compact) / 100) (bound x3)")
        for table in Table.allCases {
            var live: UInt64 = 0
            try store.scan(table: table.rawValue, from: [], now: now) { _, _, _ in
                live += 1
                return true
            }
            let stored = store.statistics.file.rows[Int(table.rawValue)]
            let bound = live * 3 / 2 + UInt64(live) / 50
            verdicts.require(
                stored <= bound, "\(table): \(stored) rows stored, \(live) of them live (bound \(bound))")
        }
    }

    // MARK: time alone

    /// No request comes any more: the tick alone sweeps, and every table empties as its records end.
    func drain(_ verdicts: inout Verdicts) throws {
        while traffic.waiting > 0 {
            if try !batch(creatingUpTo: 0) { advance(creatingUpTo: 0) }
        }
        let started = linux_monotonic_nanos()
        let day = RuleBounds.dayMs
        try pass(2 * day, step: 600_000)
        expectEmpty([.challenge, .slot, .phone, .grant, .outbox], "2 days", &verdicts)
        try pass(RuleBounds.subjectKeepMs, step: 3_600_000)
        expectEmpty([.account, .subject, .event], "64 days", &verdicts)
        try pass(RuleBounds.streakKeepMs, step: 12 * 3_600_000)
        expectEmpty([.streak], "464 days", &verdicts)
        say("time alone took \((linux_monotonic_nanos() - started) / 1_000_000_000) s")
    }

    /// Lets time pass; the journal is told of it, as an idle server does each ten minutes, and the store sweeps.
    private func pass(_ milliseconds: UInt64, step: UInt64) throws {
        let end = now + milliseconds
        while now < end {
            skip(min(step, end - now))
            try tellTime()
            repeat {
                try maintain()
                while store.makesRoom {
                    usleep(50)
                    try maintain()
                }
                skip(checkpointMs)
            } while store.sweepsOn
        }
        _ = line()
    }

    private func expectEmpty(_ tables: [Table], _ when: String, _ verdicts: inout Verdicts) {
        for table in tables {
            let rows = store.statistics.file.rows[Int(table.rawValue)]
            verdicts.require(rows == 0, "\(table) is empty \(when) after the last request: \(rows) rows")
        }
    }
}
