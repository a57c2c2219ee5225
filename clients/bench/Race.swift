import ArgumentParser
import Glibc
import Wire

/// Many clients, one right code: P1 and P3 under load.
struct Race: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Race clients with the one right code (and wrong ones between) on each of many challenges.")

    @Option(help: "Challenges.")
    var challenges = 1_000
    @Option(help: "Clients that race on each.")
    var clients = 64
    @Option(help: "Of these, how many send a wrong code (at most 4, so that the cap doesn't end the race).")
    var wrong = 3
    @Option(help: "Seed of ids and of the order.")
    var seed: UInt64 = 1

    func run() throws {
        guard (1...512).contains(clients), (0...4).contains(wrong), wrong < clients else {
            throw ValidationError("--clients is 1 to 512, --wrong 0 to 4 and less than --clients")
        }
        let server = try BenchServer()
        defer { server.remove() }
        try server.start()
        print("otp-bench race: \(clients) clients, \(wrong) of them wrong, \(challenges) challenges, seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var shoppers = Shoppers(seed: seed &* 7_919)
        let courier = try BenchPeer(server.socket)
        var peers: [BenchPeer] = []
        for _ in 0..<clients { peers.append(try BenchPeer(server.socket)) }
        var totals = (accepted: 0, wrong: 0, late: 0)
        for number in 1...challenges {
            let result = try one(&peers, courier, &shoppers, &generator)
            totals.accepted += result.accepted
            totals.wrong += result.wrong
            totals.late += result.late
            if number % 250 == 0 { print("  \(number) challenges: accepted \(totals.accepted), wrong \(totals.wrong), not open \(totals.late)") }
        }
        _ = try server.stop()
        print("passed: exactly one accepted on each of \(challenges) challenges; wrong replies = attempts stored, each time")
    }

    private func one(
        _ peers: inout [BenchPeer], _ courier: BenchPeer, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator
    ) throws -> (accepted: Int, wrong: Int, late: Int) {
        let request = shoppers.request(peers[0], &generator)
        _ = try courier.exchange(lease(1))
        let challenge = try peers[0].exchange(request).decode(ChallengeReply.self).challenge
        var right: CodeBytes?
        while right == nil {
            for frame in try courier.receive() where frame.flags == .push {
                let message = try frame.decode(MessagePush.self)
                if message.challenge == challenge { right = code(of: message) }
            }
        }
        guard let right else { throw BenchError("no code came") }
        var order = Array(0..<peers.count)
        order.shuffle(using: &generator)
        for (place, index) in order.enumerated() {
            var message = Verify()
            message.requestID = peers[index].requestID(&generator)
            message.challenge = challenge
            message.session = request.session
            message.code = place < wrong ? CodeBytes(right.array.map { ($0 - 0x30 + 1) % 10 + 0x30 }) : right
            try peers[index].send(message)
        }
        var result = (accepted: 0, wrong: 0, late: 0)
        for index in order {
            var reply: BenchPeer.Received?
            while reply == nil { reply = try peers[index].receive().first { $0.flags == .reply } }
            switch reply?.status {
            case .done: result.accepted += 1
            case .wrongCode: result.wrong += 1
            case .challengeNotOpen: result.late += 1
            case let other: throw BenchError("an unexpected answer: \(String(describing: other))")
            }
        }
        var status = StatusRequest()
        status.challenge = challenge
        status.session = request.session
        let stored = try peers[0].exchange(status).decode(StatusRequest.Reply.self)
        guard result.accepted == 1, stored.state == StatusRequest.State.verified.rawValue else {
            throw BenchError("accepted \(result.accepted) times, state \(stored.state): challenge \(challenge)")
        }
        guard Int(5 - stored.attemptsLeft) == result.wrong else {
            throw BenchError("\(result.wrong) wrong replies, \(5 - stored.attemptsLeft) attempts stored: \(challenge)")
        }
        return result
    }
}
