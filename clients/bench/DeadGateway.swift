import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// Two servers alike, one of them with thousands of messages that a courier's gateway doesn't take; honest shoppers at both, in turns.
struct DeadGateway: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-gateway",
        abstract: "Honest latency with a dead gateway and a long queue, beside a server whose queue is empty.",
        discussion: "Needs otp-courier beside this program. Blocks alternate between the servers; their medians are compared.")

    @Option(help: "Messages that wait.")
    var queued = 10_000
    @Option(help: "Honest requests a second: verifies and lookups, half and half.")
    var rate = 1_000.0
    @Option(help: "Seconds of one block: short, so that what the machine does meanwhile meets both servers.")
    var seconds = 2.0
    @Option(help: "Blocks at each server.")
    var blocks = 20
    @Option(help: "How the gateway is dead: mute (binds and answers no submit), silent (accepts and says nothing), refusing (no listener).")
    var gateway = DeadSMSC.Kind.mute
    @Option(help: "Seed of ids and accounts.")
    var seed: UInt64 = 1

    /// Beside an empty queue.
    private static let ratio = 1.1

    func run() throws {
        guard (1...200_000).contains(queued), rate >= 1, seconds > 0, (1...100).contains(blocks) else {
            throw ValidationError("--queued is 1 to 200000, --blocks 1 to 100; --rate and --seconds are more than 0")
        }
        let each = Int(rate * seconds / 2) + 1
        print("otp-bench dead-gateway: \(queued) messages wait at a gateway that is \(gateway.rawValue); \(blocks) blocks of \(seconds) s at each server,")
        print("  \(Int(rate)) verifies and lookups a second, open loop; seed \(seed)")
        let smsc = try DeadSMSC(gateway)
        let (idle, waiting) = (try Side(seed, shoppers: each * (blocks + 1)), try Side(seed &+ 1, shoppers: each * (blocks + 1)))
        let before = try waiting.waiting()
        try waiting.queue(queued)
        try waiting.startCourier(port: smsc.port)
        usleep(2_000_000)
        var p99: (idle: [UInt64], waiting: [UInt64]) = ([], [])
        // The first block of each counts nothing: what it allocates and caches is there then.
        for block in 0...blocks {
            for side in [idle, waiting] {
                let latencies = try side.load(seconds: seconds, rate: rate)
                let (median, tail) = (at(latencies, 0.5), at(latencies, 0.99))
                print("  \(block == 0 ? "warm-up" : "block \(block)") \(side === idle ? "empty queue" : "dead gateway"): p50 \(median) p99 \(tail) max \(at(latencies, 1)) µs")
                fflush(nil)
                guard block > 0 else { continue }
                if side === idle { p99.idle.append(tail) } else { p99.waiting.append(tail) }
            }
        }
        // Settled ones stand in the queue too, until somebody would take messages.
        let left = try waiting.waiting() - before
        let (empty, after) = (middle(p99.idle), middle(p99.waiting))
        let ratio = Double(after) / Double(max(1, empty))
        print("p99, median of \(blocks) blocks: empty queue \(empty) µs, dead gateway \(after) µs, ratio \(Double(Int(ratio * 100)) / 100); \(left) messages wait, \(smsc.submits) submits were swallowed")
        guard left >= UInt64(queued) * 9 / 10 else { throw BenchError("only \(left) of \(queued) messages still wait: the check checked something else") }
        guard ratio <= DeadGateway.ratio else { throw BenchError("p99 is \(Double(Int(ratio * 100)) / 100) times that of an empty queue, more than \(DeadGateway.ratio)") }
        print("passed")
    }

    private func at(_ sorted: [UInt64], _ part: Double) -> UInt64 {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] / 1_000
    }

    private func middle(_ values: [UInt64]) -> UInt64 { values.sorted()[values.count / 2] }

    /// One server and its shoppers, whose codes are known before anything is measured.
    final class Side {
        private let server: BenchServer
        private let peers: [BenchPeer]
        private var generator: SeededGenerator
        private var shoppers: Shoppers
        private var known: [(challenge: Bytes16, session: Bytes32, code: CodeBytes)] = []
        private var courier: pid_t = 0

        init(_ seed: UInt64, shoppers count: Int) throws {
            generator = SeededGenerator(seed: seed)
            server = try BenchServer()
            try server.start()
            peers = try [BenchPeer](server.socket, count: 16)
            shoppers = Shoppers(seed: seed &* 7_907)
            let courier = try BenchPeer(server.socket)
            _ = try courier.exchange(lease())
            var sessions: [Bytes16: Bytes32] = [:]
            for number in 0..<count {
                let request = shoppers.request(peers[0], &generator)
                let reply = try peers[0].exchange(request)
                guard reply.status == .done else { throw BenchError("a shopper was refused: \(reply.status.map { "\($0)" } ?? "?")") }
                sessions[try reply.decode(ChallengeReply.self).challenge] = request.session
                if number % 32 == 31 || number == count - 1 {
                    while known.count <= number { try take(courier, sessions) }
                    try courier.send(lease())
                }
            }
        }

        /// Messages of the shoppers, reported as submitted: none of them waits any more.
        private func take(_ courier: BenchPeer, _ sessions: [Bytes16: Bytes32]) throws {
            for frame in try courier.receive() where frame.flags == .push && frame.opcode == Opcode.message.rawValue {
                let message = try frame.decode(MessagePush.self)
                var report = ReportMessage()
                report.challenge = message.challenge
                report.send = message.send
                report.token = message.token
                report.outcome = ReportMessage.Outcome.submitted.rawValue
                try courier.send(report)
                guard let session = sessions[message.challenge] else { throw BenchError("a message of nobody") }
                known.append((message.challenge, session, code(of: message)))
            }
        }

        /// Messages that nobody takes.
        func queue(_ count: Int) throws {
            // The bench's courier has gone, its leases run out: from here on messages wait.
            for _ in 0..<count {
                let reply = try peers[0].exchange(shoppers.request(peers[0], &generator))
                guard reply.status == .done else { throw BenchError("a shopper was refused: \(reply.status.map { "\($0)" } ?? "?")") }
            }
        }

        func startCourier(port: UInt16) throws {
            let (own, password) = (BenchServer.ownPath, server.folder + "/password")
            guard let slash = own.lastIndex(of: "/"), let file = fopen(password, "w") else { throw BenchError("\(password): \(String(cString: strerror(errno)))") }
            fputs("secret\n", file)
            fclose(file)
            chmod(password, 0o600)
            courier = BenchServer.spawn(
                own[...slash] + "otp-courier",
                ["smpp", "--socket", server.socket, "--host", "127.0.0.1", "--port", "\(port)", "--system-id", "otpd", "--password-file", password])
            guard courier > 0 else { throw BenchError("otp-courier didn't start: is it built?") }
        }

        /// Latencies in nanoseconds from due time to reply, sorted: a Verify with the right code, then a lookup of it, and so on.
        func load(seconds: Double, rate: Double) throws -> [UInt64] {
            var latencies: [UInt64] = []
            var due = [UInt64](repeating: 0, count: peers.count)
            var verified: (challenge: Bytes16, session: Bytes32)?
            let poll = try PeerPoll(peers)
            let (start, interval) = (linux_monotonic_nanos(), UInt64(1e9 / rate))
            let end = start + UInt64(seconds * 1e9)
            var next = start
            while next < end || due.contains(where: { $0 > 0 }) {
                let now = linux_monotonic_nanos()
                while next <= now, next < end, let index = due.firstIndex(of: 0) {
                    if let shopper = verified {
                        var message = StatusRequest()
                        (message.challenge, message.session) = shopper
                        try peers[index].send(message)
                        verified = nil
                    } else {
                        guard let shopper = known.popLast() else { throw BenchError("no shopper is left") }
                        var message = Verify()
                        message.requestID = peers[index].requestID(&generator)
                        (message.challenge, message.session, message.code) = shopper
                        try peers[index].send(message)
                        verified = (shopper.challenge, shopper.session)
                    }
                    due[index] = next
                    next += interval
                }
                for index in try poll.wait(nanos: next > now ? min(next - now, 1_000_000) : 100_000) {
                    for frame in try peers[index].receive() {
                        guard frame.status == .done else { throw BenchError("an honest request was refused: \(frame.status.map { "\($0)" } ?? "goodbye")") }
                        latencies.append(linux_monotonic_nanos() - due[index])
                        due[index] = 0
                    }
                }
            }
            return latencies.sorted()
        }

        /// Messages that wait, as Stats says.
        func waiting() throws -> UInt64 {
            let lines = try peers[0].exchange(Stats()).decode(Stats.Reply.self).lines.text.split(separator: "\n")
            for line in lines where line.hasPrefix("messages_waiting ") { return UInt64(line.dropFirst(17)) ?? 0 }
            throw BenchError("no statistic messages_waiting")
        }

        deinit {
            if courier > 0 {
                kill(courier, SIGKILL)
                _ = BenchServer.wait(courier)
            }
            server.kill9()
            server.remove()
        }
    }
}

extension [BenchPeer] {
    init(_ socket: String, count: Int) throws { self = try (0..<count).map { _ in try BenchPeer(socket) } }
}

/// An SMSC on loopback that is no use.
final class DeadSMSC: @unchecked Sendable {  // `submits` is the thread's, read at the end
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case mute
        case silent
        case refusing
    }

    private(set) var port: UInt16 = 0
    private(set) var submits = 0
    private let kind: Kind
    private let listener: Int32

    init(_ kind: Kind) throws {
        self.kind = kind
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) == 0 && getsockname(listener, $0, &size) == 0 }
        }
        guard isBound else { throw BenchError("bind: \(String(cString: strerror(errno)))") }
        port = UInt16(bigEndian: address.sin_port)
        // Bound and not listening: refused.
        guard kind != .refusing else { return }
        guard listen(listener, 16) == 0 else { throw BenchError("listen: \(String(cString: strerror(errno)))") }
        _ = try startThread { self.serve() }
    }

    /// One connection after the other, until the process ends.
    private func serve() {
        while true {
            let fd = accept(listener, nil, nil)
            guard fd >= 0 else { continue }
            var (input, chunk): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 16 << 10))
            while true {
                let count = read(fd, &chunk, chunk.count)
                guard count > 0 else { break }
                guard kind == .mute else { continue }
                input += chunk.prefix(count)
                while let length = word(input, 0), input.count >= length, length >= 16 {
                    answer(Array(input.prefix(length)), fd)
                    input.removeFirst(length)
                }
            }
            close(fd)
        }
    }

    private func word(_ bytes: [UInt8], _ place: Int) -> Int? {
        bytes.count >= place + 4 ? bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } : nil
    }

    /// Binds and enquire_link are answered, submits aren't.
    private func answer(_ pdu: [UInt8], _ fd: Int32) {
        let command = pdu[7]
        if command == 0x04 { submits += 1 }
        guard pdu[4] == 0, [0x01, 0x02, 0x09, 0x15].contains(command) else { return }
        let body: [UInt8] = command == 0x15 ? [] : [0x78, 0]
        let reply = [0, 0, 0, UInt8(16 + body.count), 0x80, 0, 0, command, 0, 0, 0, 0] + pdu[12..<16] + body
        _ = reply.withUnsafeBytes { send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}
