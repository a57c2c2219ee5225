import ArgumentParser
import CLinuxShim
import Glibc

/// The Nth call of each kind is cut off or fails, N from 1 until nothing happens, in every phase of the server's life.
struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Kill at, or fail, the Nth call of every kind, in every phase; check after each.")

    @Option(help: "Only these phases, comma-separated: init, start, recovery, steady, checkpoint, stop.")
    var phases = "init,start,recovery,steady,checkpoint,stop"
    @Option(help: "Only this kind of call.")
    var call: String?
    @Option(help: "Only this fault.")
    var fault: String?
    @Option(help: "Begin with this N (to repeat one that failed).")
    var from: UInt64 = 1
    @Option(help: "End with this N.")
    var upTo: UInt64 = 2_000
    @Option(help: "Try this many cases, chosen by the seed, instead of all.")
    var sample: Int?
    @OptionGroup var common: Common

    func run() throws {
        let phases = try phases.split(separator: ",").map { name in
            guard let phase = SweepCase.Phase(rawValue: String(name)) else { throw ValidationError("no phase `\(name)`") }
            return phase
        }
        let kinds = SweepCase.all(phases).filter { kind in
            (call == nil || "\(kind.call)" == call) && (fault == nil || "\(kind.fault)" == fault)
        }
        guard !kinds.isEmpty else { throw ValidationError("no such call or fault") }
        var runner: SweepRunner?
        try ending(nil, { runner?.folder }) {
            let work = try temporaryFolder()
            let made = SweepRunner(library: try CrashServer.buildLibrary(in: work), seed: common.seed, common: common)
            runner = made
            say("otp-crash sweep: \(kinds.count) kinds of fault, seed \(common.seed), commit \(commitName())")
            let began = linux_monotonic_nanos()
            let reached = try reached(phases, made)
            let present = kinds.filter { reached[$0.phase]?[$0.call] ?? 0 > 0 }
            if let sample {
                try some(present, reached, sample, made)
            } else {
                for kind in present { try all(kind, reached[kind.phase]?[kind.call] ?? 0, made) }
            }
            try made.finish()
            try removeTree(work)
            let seconds = Int((linux_monotonic_nanos() - began) / 1_000_000_000)
            say("  restart to first reply: \(spread(made.restarts))")
            say(
                "passed: \(made.runs) runs in \(seconds) s, \(made.fired) of them with a fault: \(made.killed) killed, \(made.survived) went on, "
                    + "\(made.exited) ended with a message; 0 violations")
        }
    }

    /// N from 1 until a run doesn't reach the call and none before made as many, or until four in a row don't: runs aren't the same to
    /// the call.
    private func all(_ kind: SweepCase, _ reached: UInt64, _ runner: SweepRunner) throws {
        var (nth, most, fired, missed) = (from, reached, 0, 0)
        var last = SweepRunner.Tally()
        while nth <= upTo {
            let didFire = try attempt(kind, nth, runner, &last)
            if didFire { fired += 1 }
            missed = didFire ? 0 : missed + 1
            most = max(most, runner.counts[kind.call] ?? 0)
            guard didFire || (nth < most && missed < 4) else { break }
            nth += 1
        }
        let more = nth > upTo ? " (ended by --up-to)" : ""
        say("  \(kind): \(fired) calls of \(nth - from)\(more): \(last.killed) killed, \(last.survived) went on, \(last.exited) ended with a message")
    }

    private func some(_ kinds: [SweepCase], _ reached: Calls, _ count: Int, _ runner: SweepRunner) throws {
        var generator = SeededGenerator(seed: common.seed)
        var tally = SweepRunner.Tally()
        for _ in 0..<count {
            let kind = kinds[Int(generator.next() % UInt64(kinds.count))]
            let calls = reached[kind.phase]?[kind.call] ?? 1
            _ = try attempt(kind, 1 + generator.next() % calls, runner, &tally)
        }
    }

    private typealias Calls = [SweepCase.Phase: [FaultControl.Call: UInt64]]

    /// How many calls of each kind a run of each phase makes: a kind that isn't there needs no runs.
    private func reached(_ phases: [SweepCase.Phase], _ runner: SweepRunner) throws -> Calls {
        var found: Calls = [:]
        var tally = SweepRunner.Tally()
        for phase in phases {
            for _ in 0..<2 {
                _ = try attempt(SweepCase(phase: phase, call: .open, fault: .slow), .max, runner, &tally)
                found[phase, default: [:]].merge(runner.counts, uniquingKeysWith: max)
            }
            let calls = (found[phase] ?? [:]).filter { $0.value > 0 }.map { "\($0.value) \($0.key)" }.sorted()
            say("  \(phase.rawValue) makes \(calls.joined(separator: ", "))")
        }
        return found
    }

    private func attempt(_ kind: SweepCase, _ nth: UInt64, _ runner: SweepRunner, _ tally: inout SweepRunner.Tally) throws -> Bool {
        do { return try runner.run(kind, nth, &tally) } catch {
            say("\(kind), call \(nth):")
            say(
                "again: otp-crash sweep --phases \(kind.phase.rawValue) --call \(kind.call) --fault \(kind.fault) --from \(nth) --up-to \(nth) "
                    + "--seed \(common.seed) --commit \(common.commit)")
            throw error
        }
    }
}

/// One kind of fault in one phase.
struct SweepCase: CustomStringConvertible {
    enum Phase: String, CaseIterable { case `init`, start, recovery, steady, checkpoint, stop }

    var phase: Phase
    var call: FaultControl.Call
    var fault: FaultControl.Fault
    var forEver = false

    var description: String { "\(phase.rawValue): \(call) \(fault)\(forEver ? " for ever" : "")" }

    /// Everything that can happen to a call in Linux.
    static func all(_ phases: [Phase]) -> [SweepCase] {
        var kinds: [SweepCase] = []
        for phase in phases {
            for call in FaultControl.Call.allCases {
                for fault in faults(of: call) {
                    kinds.append(SweepCase(phase: phase, call: call, fault: fault))
                    guard fault != .killBefore, fault != .killAfter else { continue }
                    kinds.append(SweepCase(phase: phase, call: call, fault: fault, forEver: true))
                }
            }
        }
        return kinds
    }

    private static func faults(of call: FaultControl.Call) -> [FaultControl.Fault] {
        switch call {
        // On a disk of this machine Linux doesn't interrupt it.
        case .open: [.killBefore, .killAfter, .ioError, .noSpace]
        case .write, .pwrite, .writev: [.killBefore, .killAfter, .ioError, .noSpace, .interrupted, .short]
        case .fdatasync, .fsync: [.killBefore, .killAfter, .ioError, .noSpace, .interrupted, .slow]
        case .rename, .unlink, .mkdir: [.killBefore, .killAfter, .ioError, .noSpace]
        case .fallocate: [.killBefore, .killAfter, .ioError, .noSpace, .interrupted]
        case .read: [.killBefore, .ioError, .interrupted, .short]
        case .send, .receive: [.killBefore, .killAfter, .interrupted, .short]
        }
    }
}
