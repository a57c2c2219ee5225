import CLinuxShim
import Glibc
import Wire

/// otpd itself, as built beside this program.
final class OTPDTarget: Target {
    let kind = TargetKind.otpd
    private let server: BenchServer
    private var admin: BenchPeer

    init(_ options: TargetOptions) throws {
        var environment: [String] = []
        if options.probe != nil || options.slowSyncMicros > 0 {
            environment.append("LD_PRELOAD=\(try Tools.probe(options.sources))")
            if let probe = options.probe { environment.append("OTP_PROBE=\(probe.path)") }
            if options.slowSyncMicros > 0 { environment.append("OTP_SLOW_SYNC_US=\(options.slowSyncMicros)") }
        }
        server = try BenchServer(commit: options.commit, dataset: options.dataset)
        server.environment += environment
        server.log = server.folder + "/log"
        do {
            try server.start()
            admin = try BenchPeer(server.socket)
        } catch {
            server.remove()
            throw error
        }
    }

    var pid: pid_t { server.pid }

    func makeEngine(seed: UInt64, known: [Errand], firstShopper: UInt64) throws -> any LoadRunner {
        try LoadEngine(
            OTPDialect(socket: server.socket, codesAreKnown: false), seed: seed, known: known,
            firstShopper: firstShopper)
    }

    func journal() throws -> (syncs: UInt64, bytes: UInt64)? { try readJournal(admin) }

    /// kill -9, start again: milliseconds until the first reply. Hello's is the first.
    func restartAfterKill() throws -> Double {
        server.kill9()
        let start = linux_monotonic_nanos()
        try server.start()
        admin = try BenchPeer(server.socket)
        return Double(linux_monotonic_nanos() - start) / 1e6
    }

    func stop() throws {
        defer { server.remove() }
        _ = try server.stop()
    }

    deinit { server.remove() }
}

/// What Stats says of the journal.
func readJournal(_ admin: BenchPeer) throws -> (syncs: UInt64, bytes: UInt64)? {
    let lines = try admin.exchange(Stats()).decode(Stats.Reply.self).lines.text
    var values = (syncs: UInt64(0), bytes: UInt64(0))
    for line in lines.split(separator: "\n") {
        let parts = line.split(separator: " ")
        guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
        if parts[0] == "journal_commits_total" { values.syncs = value }
        if parts[0] == "journal_bytes_total" { values.bytes = value }
    }
    return values
}
