import CLinuxShim
import Glibc
import Wire

/// The attacks of one user on all others: as much as the protocol lets it ask for, in good form. Fairness
/// alone helps.
extension Hostile {
    /// Fails the run: honest p99 under attack, in those of the quiet time just before it.
    static let userRatio = 2.0
    /// Fewer honest requests have no p99 that could be judged.
    static let judgedReplies = 3_000

    /// Each for half of the time that the crowd had, after a quarter of it without an attack: what else the
    /// machine does changes by the minute.
    func attackByUsers(_ load: HonestLoad, _ figures: ProcessFigures, _ server: BenchServer, places: Int) throws {
        guard geteuid() == 0 else { return print("attacks of another user: left out, they take root") }
        for kind in UserAttack.Kind.allCases {
            let calm = try load.run(seconds: seconds / 4, rate: rate)
            say("quiet", calm, seconds / 4, 0, 0)
            // More would be refused, and the attack ends when one is; honest peers and looks at counters have some.
            let others = try counter("connections", server)
            let connections = min(kind.connections, places * 3 / 4, places - Int(others) - 8)
            let attack = try Attack(
                [
                    "user-attack", "--socket", server.socket, "--kind", kind.name, "--connections",
                    "\(connections)", "--uid", "\(uid)",
                ])
            defer { attack.stop() }
            try waitFor("has its connections", server) { $0 >= others + UInt64(connections) }
            let before = (
                requests: try counter("requests_total", server), processor: try figures.processorSeconds()
            )
            let latencies = try load.run(seconds: seconds / 2, rate: rate)
            let asked = try counter("requests_total", server) - before.requests
            let used = try figures.processorSeconds() - before.processor
            say("one user's \(kind.name)", latencies, seconds / 2, used, 0)
            let perSecond = Int(Double(asked) / (seconds / 2))
            print("  \(connections) connections, \(kind.outstanding) outstanding each; \(perSecond) requests/s decided in all")
            guard attack.isRunning else {
                throw BenchError("the attack by \(kind.name) ended before it was over")
            }
            guard asked > 4 * UInt64(latencies.count) else {
                throw BenchError(
                    "the attack by \(kind.name) asked for next to nothing: the check checked nothing")
            }
            attack.stop()
            try waitFor("is gone", server) { $0 <= others }
            try judge(kind, calm, latencies)
        }
    }

    private func judge(_ kind: UserAttack.Kind, _ calm: [UInt64], _ attacked: [UInt64]) throws {
        let ratio = Double(at(attacked, 0.99)) / Double(max(1, at(calm, 0.99)))
        let shown = Double(Int(ratio * 100)) / 100
        print("  honest p99 / quiet: \(shown)")
        guard attacked.count >= Hostile.judgedReplies else { return }
        guard ratio <= Hostile.userRatio else {
            throw BenchError(
                "honest p99 is \(shown) times its quiet value beside one user's \(kind.name), more than \(Hostile.userRatio)"
            )
        }
    }

    /// Until the server has so many connections.
    private func waitFor(_ what: String, _ server: BenchServer, _ isDone: (UInt64) -> Bool) throws {
        let end = linux_monotonic_nanos() + 20_000_000_000
        while try !isDone(counter("connections", server)) {
            guard linux_monotonic_nanos() < end else { throw BenchError("waited 20 s until the attack \(what)") }
            usleep(50_000)
        }
    }
}
