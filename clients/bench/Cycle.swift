import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// The first measurement: closed loop, each client requests a code, gets it through a courier of ours, verifies it, begins again.
struct Cycle: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Request + verify cycles a second at 1, 16 and 64 clients.")

    @Option(help: "Clients, comma-separated.")
    var clients = "1,16,64"
    @Option(help: "Seconds for each.")
    var seconds = 5.0
    @Option(help: "Commit mode: auto, inline or overlapped.")
    var commit = "auto"
    @Option(help: "Seed of ids and accounts.")
    var seed: UInt64 = 1

    func run() throws {
        let counts = clients.split(separator: ",").compactMap { Int($0) }
        guard !counts.isEmpty, counts.allSatisfy({ (1...512).contains($0) }) else {
            throw ValidationError("--clients takes numbers from 1 to 512, such as 1,16,64")
        }
        let server = try BenchServer(commit: commit)
        defer { server.remove() }
        try server.start()
        print("otp-bench cycle: closed loop, one process of clients and courier beside otpd, commit=\(commit), seed \(seed)")
        print("a cycle = RequestCode (journaled with its lease and push) + Verify; both are durable before their replies")
        print("clients  cycles/s  durable replies/s   p50 µs   p99 µs  p99.9 µs    max µs   syncs/cycle")
        var shoppers = Shoppers(seed: seed &* 1_000)
        for count in counts { try measure(server, count, &shoppers) }
        print("otpd stopped in \(try server.stop()) ms, exit 0")
    }

    private struct Shopper {
        var session = Bytes32.zero
        var challenge: Bytes16?
        var started: UInt64 = 0
        var isVerifying = false
    }

    private func measure(_ server: BenchServer, _ count: Int, _ shoppers: inout Shoppers) throws {
        var generator = SeededGenerator(seed: seed &+ UInt64(count))
        let courier = try BenchPeer(server.socket)
        _ = try courier.exchange(lease())
        let admin = try BenchPeer(server.socket)
        var peers: [BenchPeer] = []
        for _ in 0..<count { peers.append(try BenchPeer(server.socket)) }
        let all = peers + [courier]
        let poll = try PeerPoll(all)
        var states = [Shopper](repeating: Shopper(), count: count)
        var codes: [Bytes16: CodeBytes] = [:]
        var latencies: [UInt64] = []
        var pushes = 0
        let before = try commits(admin)
        for index in 0..<count { try begin(&states[index], peers[index], &shoppers, &generator) }
        let start = linux_monotonic_nanos()
        let end = start + UInt64(seconds * 1e9)
        while linux_monotonic_nanos() < end {
            for index in try poll.wait(nanos: 1_000_000_000) {
                for frame in try all[index].receive() {
                    if index == count {
                        guard frame.flags == .push, frame.opcode == Opcode.message.rawValue else { continue }
                        let message = try frame.decode(MessagePush.self)
                        codes[message.challenge] = code(of: message)
                        pushes += 1
                        if pushes % 32 == 0 { try courier.send(lease()) }
                        if let owner = states.firstIndex(where: { $0.challenge == message.challenge }) {
                            try verify(&states[owner], peers[owner], &codes, &generator)
                        }
                    } else if states[index].isVerifying {
                        guard frame.status == .done else { throw BenchError("verify: \(String(describing: frame.status))") }
                        latencies.append(linux_monotonic_nanos() - states[index].started)
                        try begin(&states[index], peers[index], &shoppers, &generator)
                    } else {
                        guard frame.status == .done else { throw BenchError("request: \(String(describing: frame.status))") }
                        states[index].challenge = try frame.decode(ChallengeReply.self).challenge
                        try verify(&states[index], peers[index], &codes, &generator)
                    }
                }
            }
        }
        let took = Double(linux_monotonic_nanos() - start) / 1e9
        let syncs = Double(try commits(admin) - before) / Double(max(1, latencies.count))
        report(count, latencies.sorted(), took, syncs)
    }

    private func begin(
        _ state: inout Shopper, _ peer: BenchPeer, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator
    ) throws {
        let request = shoppers.request(peer, &generator)
        state = Shopper(session: request.session, started: linux_monotonic_nanos())
        try peer.send(request)
    }

    private func verify(
        _ state: inout Shopper, _ peer: BenchPeer, _ codes: inout [Bytes16: CodeBytes],
        _ generator: inout SeededGenerator
    ) throws {
        guard let challenge = state.challenge, !state.isVerifying, let code = codes.removeValue(forKey: challenge) else {
            return
        }
        state.isVerifying = true
        var message = Verify()
        message.requestID = peer.requestID(&generator)
        message.challenge = challenge
        message.session = state.session
        message.code = code
        try peer.send(message)
    }

    private func commits(_ admin: BenchPeer) throws -> UInt64 {
        let lines = try admin.exchange(Stats()).decode(Stats.Reply.self).lines.text
        for line in lines.split(separator: "\n") where line.hasPrefix("journal_commits_total ") {
            return UInt64(line.dropFirst("journal_commits_total ".count)) ?? 0
        }
        return 0
    }

    private func report(_ clients: Int, _ sorted: [UInt64], _ seconds: Double, _ syncs: Double) {
        func at(_ part: Double) -> UInt64 {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] / 1_000
        }
        let rate = Int(Double(sorted.count) / seconds)
        let cells = [
            pad(clients, 7), pad(rate, 10), pad(2 * rate, 19), pad(Int(at(0.5)), 9), pad(Int(at(0.99)), 9),
            pad(Int(at(0.999)), 10), pad(Int(at(1)), 10), pad(String(Double(Int(syncs * 1000)) / 1000), 14),
        ]
        print(cells.joined())
        fflush(nil)
    }

    private func pad(_ value: Int, _ width: Int) -> String { pad(String(value), width) }
    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }
}
