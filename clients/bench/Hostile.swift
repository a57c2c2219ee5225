import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// Thousands of hostile connections against an otpd of our own, while honest shoppers are measured.
struct Hostile: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hostile connections, and a hostile user's: honest latency, private memory and descriptors, quiet and under attack.")

    @Option(help: "Seconds of the attack.")
    var seconds = 60.0
    @Option(help: "Seconds without an attack, before it.")
    var quiet = 15.0
    @Option(help: "Hostile connections.")
    var connections = 5_000
    @Option(help: "Connects a second that are closed at once, beside them.")
    var flood = 1_000
    @Option(help: "Honest requests a second.")
    var rate = 200.0
    @Option(help: "Seed of ids, accounts and garbage.")
    var seed: UInt64 = 1
    @Option(help: "The user id of the attack, if this is root: another than the honest shoppers'.")
    var uid: UInt32 = 65_533

    /// Bounds that fail the run.
    private static let memoryKiB = 64 << 10
    private static let ratio = 1.5
    /// Shorter attacks have too few requests for a p99 that could be judged.
    private static let judgedSeconds = 30.0

    func run() throws {
        guard (1...16_000).contains(connections), seconds > 0, quiet > 0, rate > 0 else {
            throw ValidationError("--connections is 1 to 16000; --seconds, --quiet and --rate are more than 0")
        }
        guard linux_raise_descriptor_limit() > 128 else { throw BenchError("this process may open too few files") }
        let places = max(64, connections * 3 / 2)
        let server = try BenchServer(settings: "max_connections = \(places)", guest: geteuid() == 0 ? uid : nil)
        defer { server.remove() }
        try server.start()
        print("otp-bench hostile: \(connections) hostile connections of \(HostilePeers.Kind.allCases.count) kinds (each acts once a second) and \(flood) connects/s")
        print("  beside \(Int(rate)) honest durable requests/s, open loop; max_connections \(places), seed \(seed)")
        let figures = ProcessFigures(pid: server.pid)
        let load = try HonestLoad(server.socket, seed: seed)
        // What the first requests allocate isn't growth.
        _ = try load.run(seconds: 1, rate: rate)
        let base = (memory: try figures.privateKiB(), descriptors: figures.descriptors())
        let calm = try load.run(seconds: quiet, rate: rate)
        say("quiet", calm, quiet, 0, try figures.privateKiB() - base.memory)

        let attack = try Attack(
            ["hostile-peers", "--socket", server.socket, "--connections", "\(connections)", "--uid", "\(uid)", "--seed", "\(seed)",
                "--flood", "\(flood)"])
        defer { attack.stop() }
        let (attacked, peak) = try underAttack(load, figures, attack, server, base.memory)
        attack.stop()
        let left = try settle(server, figures, base.descriptors)
        let after = try load.run(seconds: 1, rate: rate)
        say("afterwards", after, 1, 0, try figures.privateKiB() - base.memory)
        try attackByUsers(load, figures, server, places: places)
        _ = try settle(server, figures, base.descriptors)
        try exhaustion(server, figures)
        try judge(calm, attacked, peak, left, base.descriptors)
        print("otpd stopped in \(try server.stop()) ms, exit 0")
    }

    /// The attack's process; stopped once.
    final class Attack {
        private var pid: pid_t

        init(_ arguments: [String]) throws {
            pid = BenchServer.spawn(BenchServer.ownPath, arguments)
            guard pid > 0 else { throw BenchError("the attack didn't start: \(String(cString: strerror(-pid)))") }
        }

        /// It hasn't ended by itself.
        var isRunning: Bool {
            var status: Int32 = 0
            guard pid > 0, waitpid(pid, &status, WNOHANG) == pid else { return pid > 0 }
            pid = 0
            return false
        }

        func stop() {
            guard pid > 0 else { return }
            kill(pid, SIGKILL)
            _ = BenchServer.wait(pid)
            pid = 0
        }
    }

    /// Honest requests under attack; honest clients come anew meanwhile. Returns latencies and the memory's growth, KiB.
    private func underAttack(
        _ load: HonestLoad, _ figures: ProcessFigures, _ attack: Attack, _ server: BenchServer, _ base: Int
    ) throws -> ([UInt64], Int) {
        var (peak, most) = (0, 0)
        var looks = 0
        let watch = try Background(everyMs: 250) {
            peak = max(peak, try figures.privateKiB() - base)
            // The kernel takes some milliseconds for thousands of them, and nobody else runs on that core meanwhile.
            if looks % 16 == 8 { most = max(most, figures.descriptors() ?? 0) }
            looks += 1
        }
        // Nanoseconds from connect to Hello's reply, two clients a second.
        var connects: [UInt64] = []
        let socket = server.socket
        let probe = try Background(everyMs: 500) {
            let start = linux_monotonic_nanos()
            _ = try BenchPeer(socket)
            connects.append(linux_monotonic_nanos() - start)
        }
        let processor = try figures.processorSeconds()
        let latencies = try load.run(seconds: seconds, rate: rate)
        let used = try figures.processorSeconds() - processor
        try watch.stop()
        try probe.stop()
        connects.sort()
        say("attacked", latencies, seconds, used, peak)
        print("  up to \(most) descriptors; \(connects.count) more honest clients got in, p50 \(at(connects, 0.5)) max \(at(connects, 1)) µs")
        print("  \(try counters(server))")
        if most > 0, most < connections / 2 { throw BenchError("the attack never held half of its connections") }
        return (latencies, peak)
    }

    /// Waits until the attack's connections have gone; returns the descriptors beyond the base.
    private func settle(_ server: BenchServer, _ figures: ProcessFigures, _ base: Int?) throws -> Int? {
        guard let base else { return nil }
        let end = linux_monotonic_nanos() + 15_000_000_000
        var left = Int.max
        while left > 0, linux_monotonic_nanos() < end {
            usleep(50_000)
            left = (figures.descriptors() ?? .max) - base
        }
        return left
    }

    /// The process may open no more files for a while: accepts pause, who is connected is served, the loop doesn't spin. Without writes: a
    /// journal that can't open a file ends the process, which is why connections never get the last descriptors while the limit stands.
    private func exhaustion(_ server: BenchServer, _ figures: ProcessFigures) throws {
        guard let open = figures.descriptors() else { return print("descriptor exhaustion: left out, it takes root") }
        let peer = try BenchPeer(server.socket)
        // The last checkpoint, and some more.
        usleep(2_500_000)
        try limit(server.pid, "\(open + 8):")
        let waiting = (0..<64).map { _ in linux_connect(server.socket) }
        let before = try figures.processorSeconds()
        var latencies: [UInt64] = []
        let beforeNanos = linux_monotonic_nanos()
        for _ in 0..<60 {
            let start = linux_monotonic_nanos()
            guard try peer.exchange(Ping()).status == .done else { throw BenchError("a Ping wasn't answered without descriptors") }
            latencies.append(linux_monotonic_nanos() - start)
            usleep(20_000)
        }
        let used = (try figures.processorSeconds() - before) / (Double(linux_monotonic_nanos() - beforeNanos) / 1e9)
        try limit(server.pid, "16384:")
        for fd in waiting where fd >= 0 { close(fd) }
        _ = try BenchPeer(server.socket)
        latencies.sort()
        print("descriptor exhaustion: Ping p50 \(at(latencies, 0.5)) max \(at(latencies, 1)) µs, \(percent(used)) of a core, connects again")
        guard used < 0.25 else { throw BenchError("otpd spins when it has no descriptors left: \(percent(used)) of a core") }
        guard try counter("accept_pauses_total", server) > 0 else {
            throw BenchError("accepts never paused, so descriptors never ran out: the check checked nothing")
        }
    }

    private func limit(_ pid: pid_t, _ text: String) throws {
        let child = BenchServer.spawn("/usr/bin/prlimit", ["--pid", "\(pid)", "--nofile=\(text)"])
        guard child > 0, BenchServer.wait(child) == 0 else { throw BenchError("prlimit --nofile=\(text) failed") }
    }

    private func judge(_ calm: [UInt64], _ attacked: [UInt64], _ peak: Int, _ left: Int?, _ base: Int?) throws {
        let ratio = Double(at(attacked, 0.99)) / Double(max(1, at(calm, 0.99)))
        let shown = Double(Int(ratio * 100)) / 100
        print("honest p99 under attack / quiet: \(shown); private memory +\(peak / 1_024) MiB; descriptors left over: \(left.map { "\($0)" } ?? "not counted, it takes root")")
        guard peak <= Hostile.memoryKiB else { throw BenchError("private memory grew by \(peak / 1_024) MiB, more than 64") }
        if let left, left > 0 { throw BenchError("\(left) descriptors are still open after the attack") }
        guard seconds >= Hostile.judgedSeconds else {
            return print("passed (an attack of less than \(Int(Hostile.judgedSeconds)) s isn't judged by its p99)")
        }
        guard ratio <= Hostile.ratio else { throw BenchError("honest p99 is \(shown) times its quiet value, more than \(Hostile.ratio)") }
        print("passed")
    }

    // MARK: figures

    func at(_ sorted: [UInt64], _ part: Double) -> UInt64 {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] / 1_000
    }

    private func percent(_ share: Double) -> String { "\(Int(share * 100)) %" }

    func say(_ name: String, _ sorted: [UInt64], _ seconds: Double, _ processor: Double, _ memory: Int) {
        print("\(name): \(sorted.count) honest replies in \(Int(seconds)) s; p50 \(at(sorted, 0.5)) p99 \(at(sorted, 0.99)) p99.9 \(at(sorted, 0.999)) max \(at(sorted, 1)) µs; private memory \(memory >= 0 ? "+" : "")\(memory / 1_024) MiB" + (processor > 0 ? "; otpd \(percent(processor / seconds)) of a core" : ""))
        fflush(nil)
    }

    func counter(_ name: String, _ server: BenchServer) throws -> UInt64 {
        for line in try statistics(server) where line.hasPrefix(name + " ") { return UInt64(line.dropFirst(name.count + 1)) ?? 0 }
        throw BenchError("no counter \(name)")
    }

    private func counters(_ server: BenchServer) throws -> String {
        let names = ["connections", "connections_refused_total", "accept_pauses_total", "frame_errors_total", "requests_total"]
        return try statistics(server).filter { line in names.contains { line.hasPrefix($0 + " ") } }.joined(separator: ", ")
    }

    private func statistics(_ server: BenchServer) throws -> [Substring] {
        try BenchPeer(server.socket).exchange(Stats()).decode(Stats.Reply.self).lines.text.split(separator: "\n")
    }
}
