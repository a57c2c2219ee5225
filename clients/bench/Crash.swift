import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// kill -9 in a stream of operations: whatever was acknowledged must be there afterwards (P1–P4).
struct Crash: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "kill -9 otpd again and again under load; check every acknowledged acceptance, debit and wrong attempt.")

    @Option(help: "How often to kill.")
    var kills = 50
    @Option(help: "Clients.")
    var clients = 16
    @Option(help: "Seed of ids, choices and moments.")
    var seed: UInt64 = 1
    @Option(help: "Commit mode: auto, inline or overlapped.")
    var commit = "auto"

    /// What the client's side knows of one challenge.
    private struct Known {
        var request: RequestCode
        var code: CodeBytes?
        /// Wrong replies received.
        var wrong = 0
        /// A Verify was sent whose answer never came.
        var isUncertain = false
        var isAccepted = false
    }

    private struct Shopper {
        var challenge: Bytes16?
        var request = RequestCode()
        var sentCode: CodeBytes?
    }

    func run() throws {
        let server = try BenchServer(commit: commit)
        defer { server.remove() }
        print("otp-bench crash: \(kills) times kill -9 under \(clients) clients, commit=\(commit), seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var shoppers = Shoppers(seed: seed &* 104_729)
        var restarts: [UInt64] = []
        var totals = (accepted: 0, wrong: 0, debits: 0)
        try server.start()
        for round in 1...kills {
            let known = try load(server, &shoppers, &generator)
            let start = linux_monotonic_nanos()
            try server.start()
            let checker = try BenchPeer(server.socket)
            restarts.append((linux_monotonic_nanos() - start) / 1_000)
            for (challenge, fact) in known { try check(challenge, fact, checker, &generator) }
            totals.accepted += known.values.filter(\.isAccepted).count
            totals.wrong += known.values.map(\.wrong).reduce(0, +)
            totals.debits += known.count
            if round % 10 == 0 {
                print("  \(round) kills: acceptances \(totals.accepted), wrong attempts \(totals.wrong), debits \(totals.debits), all there")
            }
        }
        _ = try server.stop()
        restarts.sort()
        print("restart to first reply: median \(restarts[restarts.count / 2] / 1_000).\(restarts[restarts.count / 2] % 1_000 / 100) ms, max \(restarts[restarts.count - 1] / 1_000) ms")
        print("passed: \(totals.accepted) acceptances, \(totals.wrong) wrong attempts, \(totals.debits) debits acknowledged; every one was there after its kill")
    }

    /// Runs the clients for a random while, kills the server in the middle, returns what was acknowledged.
    private func load(
        _ server: BenchServer, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator
    ) throws -> [Bytes16: Known] {
        let courier = try BenchPeer(server.socket)
        _ = try courier.exchange(lease())
        var peers: [BenchPeer] = []
        for _ in 0..<clients { peers.append(try BenchPeer(server.socket)) }
        var states = [Shopper](repeating: Shopper(), count: clients)
        var known: [Bytes16: Known] = [:]
        var codes: [Bytes16: CodeBytes] = [:]
        let all = peers + [courier]
        for index in 0..<clients { try next(&states[index], peers[index], &shoppers, &generator) }
        let end = linux_monotonic_nanos() + UInt64.random(in: 20_000_000...200_000_000, using: &generator)
        var pushes = 0
        while linux_monotonic_nanos() < end {
            for index in readable(all, timeoutMs: 10) {
                for frame in try all[index].receive() {
                    if index == clients {
                        guard frame.flags == .push else { continue }
                        let message = try frame.decode(MessagePush.self)
                        codes[message.challenge] = code(of: message)
                        pushes += 1
                        if pushes % 32 == 0 { try courier.send(lease()) }
                        if let owner = states.firstIndex(where: { $0.challenge == message.challenge && $0.sentCode == nil }) {
                            try guess(&states[owner], peers[owner], &known, codes, &generator)
                        }
                    } else {
                        try take(frame, &states[index], &known)
                        if states[index].challenge == nil {
                            try next(&states[index], peers[index], &shoppers, &generator)
                        } else if states[index].sentCode == nil {
                            try guess(&states[index], peers[index], &known, codes, &generator)
                        }
                    }
                }
            }
        }
        server.kill9()
        for state in states where state.sentCode != nil {
            if let challenge = state.challenge { known[challenge]?.isUncertain = true }
        }
        for (challenge, code) in codes { known[challenge]?.code = code }
        return known
    }

    private func next(
        _ state: inout Shopper, _ peer: BenchPeer, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator
    ) throws {
        state = Shopper()
        state.request = shoppers.request(peer, &generator)
        try peer.send(state.request)
    }

    /// Sends a code, wrong half of the time, once it has come.
    private func guess(
        _ state: inout Shopper, _ peer: BenchPeer, _ known: inout [Bytes16: Known], _ codes: [Bytes16: CodeBytes],
        _ generator: inout SeededGenerator
    ) throws {
        guard let challenge = state.challenge, let right = codes[challenge] else { return }
        var message = Verify()
        message.requestID = peer.requestID(&generator)
        message.challenge = challenge
        message.session = state.request.session
        message.code = generator.next() % 2 == 0 ? right : CodeBytes(right.array.map { ($0 - 0x30 + 1) % 10 + 0x30 })
        state.sentCode = message.code
        try peer.send(message)
    }

    private func take(_ frame: BenchPeer.Received, _ state: inout Shopper, _ known: inout [Bytes16: Known]) throws {
        guard frame.flags == .reply else { return }
        guard state.sentCode != nil else {
            guard frame.status == .done else { throw BenchError("request: \(String(describing: frame.status))") }
            let challenge = try frame.decode(ChallengeReply.self).challenge
            state.challenge = challenge
            known[challenge] = Known(request: state.request)
            return
        }
        state.sentCode = nil
        guard let challenge = state.challenge else { return }
        switch frame.status {
        case .done:
            known[challenge]?.isAccepted = true
            state.challenge = nil
        case .wrongCode:
            known[challenge]?.wrong += 1
            if known[challenge]?.wrong == 5 { state.challenge = nil }
        case let other: throw BenchError("verify: \(String(describing: other))")
        }
    }

    private func check(
        _ challenge: Bytes16, _ fact: Known, _ peer: BenchPeer, _ generator: inout SeededGenerator
    ) throws {
        var status = StatusRequest()
        status.challenge = challenge
        status.session = fact.request.session
        let frame = try peer.exchange(status)
        guard frame.status == .done else { throw BenchError("an acknowledged challenge is gone: \(challenge)") }
        let stored = try frame.decode(StatusRequest.Reply.self)
        let used = Int(5 - stored.attemptsLeft)
        guard used >= fact.wrong, used <= fact.wrong + (fact.isUncertain ? 1 : 0) else {
            throw BenchError("\(fact.wrong) wrong attempts acknowledged, \(used) stored: \(challenge)")
        }
        if fact.isAccepted {
            guard stored.state == StatusRequest.State.verified.rawValue else {
                throw BenchError("an acknowledged acceptance is gone (state \(stored.state)): \(challenge)")
            }
            var again = Verify()
            again.requestID = peer.requestID(&generator)
            again.challenge = challenge
            again.session = fact.request.session
            again.code = fact.code ?? CodeBytes("000000")
            guard try peer.exchange(again).status == .challengeNotOpen else {
                throw BenchError("a used code was taken again: \(challenge)")
            }
        } else if !fact.isUncertain {
            var quota = Quota()
            quota.purpose = 1
            quota.assurance = Assurance.firstFactor.rawValue
            quota.account = fact.request.account
            quota.phone = fact.request.phone
            // Another session, so not the open challenge again but one more send, which the gap of 30 s refuses: the first is debited.
            quota.session = Bytes32(head: fact.request.session.tail, tail: fact.request.session.head)
            let reply = try peer.exchange(quota)
            guard reply.status == .limited else {
                throw BenchError("an acknowledged debit is gone (\(String(describing: reply.status))): \(challenge)")
            }
        }
    }
}
