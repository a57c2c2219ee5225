import ArgumentParser
import CLinuxShim
import Glibc

/// SIGKILL at random times: in load, in checkpoints, in starts and recoveries, in stops.
struct Kills: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "kill -9 otpd again and again; check everything that was acknowledged after each.")

    @Option(help: "How often to kill and check.")
    var cycles = 100
    @Option(help: "Clients.")
    var clients = 16
    @Option(help: "Cycles of one data folder; then a new one.")
    var folderCycles = 12
    @Flag(help: "Kill the harness itself too, once, and check with its log alone.")
    var harness = false
    @OptionGroup var common: Common

    private struct Sums {
        var acceptances = 0, wrong = 0, debits = 0, redeemed = 0, events = 0, uncertain = 0, replies = 0
        var kills: [String: Int] = [:]
    }

    func run() throws {
        var session: Session?
        try ending("kills --cycles \(cycles) --seed \(common.seed) --commit \(common.commit)", { session?.folder }) {
            let work = try temporaryFolder()
            let library = try CrashServer.buildLibrary(in: work)
            say("otp-crash kills: \(cycles) cycles, \(clients) clients, seed \(common.seed), commit \(commitName())")
            var generator = SeededGenerator(seed: common.seed)
            var sums = Sums()
            var restarts: [UInt64] = []
            let began = linux_monotonic_nanos()
            for cycle in 0..<cycles {
                if cycle % folderCycles == 0 {
                    if let done = session { try finish(done, &sums, &restarts) }
                    session = try Session(
                        library: library, folder: try temporaryFolder(), commit: common.mode(cycle / folderCycles),
                        seed: generator.next())
                }
                guard let session else { return }
                try one(session, &generator, &sums)
                sums.uncertain += session.totals.uncertain
                if (cycle + 1) % 100 == 0 { say("  \(cycle + 1) cycles, nothing lost") }
            }
            if let done = session { try finish(done, &sums, &restarts) }
            if harness { try killHarness(library) }
            try removeTree(work)
            let seconds = Double(linux_monotonic_nanos() - began) / 1e9
            say("  killed: \(sums.kills.sorted { $0.key < $1.key }.map { "\($0.value) in \($0.key)" }.joined(separator: ", "))")
            say("  restart to first reply: \(spread(restarts))")
            say(
                "passed: \(cycles) cycles in \(Int(seconds)) s; \(sums.replies) replies of writes: \(sums.acceptances) acceptances, "
                    + "\(sums.wrong) wrong codes, \(sums.debits) sends, \(sums.redeemed) grants spent, \(sums.events) events all there; "
                    + "\(sums.uncertain) unanswered requests retried, each acted once; 0 violations")
        }
    }

    private func finish(_ session: Session, _ sums: inout Sums, _ restarts: inout [UInt64]) throws {
        let totals = session.totals
        sums.acceptances += totals.acceptances
        sums.wrong += totals.wrong
        sums.debits += totals.debits
        sums.redeemed += totals.redeemed
        sums.events += totals.events
        sums.replies += totals.replies
        restarts += session.restarts
        try session.server.remove()
    }

    /// One kill, perhaps more in the starts that follow it, and a check.
    private func one(_ session: Session, _ generator: inout SeededGenerator, _ sums: inout Sums) throws {
        let server = session.server
        if server.pid == 0 { try session.start() }
        var shape = Load.Shape()
        shape.clients = clients
        let place = generator.next() % 100
        let delay = 5_000 + generator.next() % 150_000
        if place < 80 {
            let killer = Killer(server.pid, afterMicros: delay)
            try session.load(shape, milliseconds: 5_000)
            killer.join()
            try ended(server, "load", &sums)
        } else {
            shape.requests = 60
            try session.load(shape, milliseconds: 5_000)
            kill(server.pid, SIGTERM)
            let killer = Killer(server.pid, afterMicros: delay / 2)
            killer.join()
            try ended(server, "stop", &sums)
        }
        while generator.chance(25) {
            try session.launch()
            let killer = Killer(server.pid, afterMicros: generator.next() % 80_000)
            killer.join()
            try ended(server, "start", &sums)
        }
        try session.check()
    }

    /// It must have been our kill: a server that ends by itself is a finding.
    private func ended(_ server: CrashServer, _ place: String, _ sums: inout Sums) throws {
        guard let ending = server.ended(within: 5_000) else { throw CrashError("the kill didn't come") }
        guard ending == .killed(SIGKILL) || (place == "stop" && ending == .exited(0)) else {
            throw Violation("otpd ended by itself in \(place): \(ending): \(server.said())")
        }
        sums.kills[ending == .exited(0) ? "no time (it had stopped)" : place, default: 0] += 1
    }

    /// The harness dies in mid-load; another one checks with the log that it left.
    private func killHarness(_ library: String) throws {
        let folder = try temporaryFolder()
        let program = try ownFolder() + "/otp-crash"
        let child = spawn([program, "check", folder, "--load", "--library", library, "--seed", "\(common.seed)"])
        usleep(600_000)
        kill(child, SIGKILL)
        _ = end(of: child)
        let code = end(of: spawn([program, "check", folder, "--library", library, "--seed", "\(common.seed)"]))
        guard code == .exited(0) else { throw Violation("after a kill of the harness its log and the server don't agree: \(folder)") }
        try removeTree(folder)
        say("  the harness itself was killed once; its log was enough")
    }
}

/// Kills a process after a while, from a thread of its own: the moment owes nothing to what the harness does.
final class Killer {
    private var thread = pthread_t()

    init(_ pid: pid_t, afterMicros micros: UInt64) {
        let order = UnsafeMutablePointer<(pid_t, UInt64)>.allocate(capacity: 1)
        order.initialize(to: (pid, micros))
        pthread_create(
            &thread, nil,
            { order in
                guard let order = order?.assumingMemoryBound(to: (pid_t, UInt64).self) else { return nil }
                usleep(useconds_t(order.pointee.1))
                // Not yet waited for, so the number can't be another's.
                kill(order.pointee.0, SIGKILL)
                order.deallocate()
                return nil
            }, order)
    }

    func join() { pthread_join(thread, nil) }
}

/// Loads a folder, or checks one that a killed harness left.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a folder against the log in it, as a harness that was killed left it.", shouldDisplay: false)

    @Argument(help: "The folder.")
    var folder: String
    @Flag(help: "Make it and load it, without end.")
    var load = false
    @Option(help: "The fault library.")
    var library: String
    @OptionGroup var common: Common

    func run() throws {
        try ending("check \(folder)", { folder }) {
            let session = try Session(
                library: library, folder: folder, commit: common.mode(0), seed: common.seed, isNew: load)
            if load {
                try session.start()
                try session.load(Load.Shape(), milliseconds: 60_000)
                return
            }
            // The old server goes with its harness, and lets go of the folder's lock.
            usleep(300_000)
            try session.check()
            session.server.kill9()
        }
    }
}
