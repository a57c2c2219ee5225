import CLinuxShim
import Glibc
import Wire

/// Honest shoppers at a fixed rate, open loop: a request is due when its time has come, whether the last one was answered or not, so a
/// stall isn't hidden. Every second request is a RequestCode, the others verify its code; all are durable writes.
final class HonestLoad {
    private struct Shopper {
        var session = Bytes32.zero
        var challenge: Bytes16?
        var isAsked = false
        /// When the request in flight was due; 0 = none is.
        var dueNanos: UInt64 = 0
    }

    private let peers: [BenchPeer]
    private let courier: BenchPeer
    private var shoppers: Shoppers
    private var generator: SeededGenerator
    private var states: [Shopper]
    private var codes: [Bytes16: CodeBytes] = [:]
    private var pushes = 0
    private(set) var answered = 0

    init(_ socket: String, seed: UInt64, clients: Int = 32) throws {
        generator = SeededGenerator(seed: seed)
        shoppers = Shoppers(seed: seed &* 7_907)
        courier = try BenchPeer(socket)
        _ = try courier.exchange(lease())
        peers = try (0..<clients).map { _ in try BenchPeer(socket) }
        states = Array(repeating: Shopper(), count: clients)
    }

    /// Latencies in nanoseconds, from due time to reply, sorted.
    func run(seconds: Double, rate: Double) throws -> [UInt64] {
        var latencies: [UInt64] = []
        let start = linux_monotonic_nanos()
        let (end, interval) = (start + UInt64(seconds * 1e9), UInt64(1e9 / rate))
        let all = peers + [courier]
        let poll = try PeerPoll(all)
        var due = start
        while true {
            let now = linux_monotonic_nanos()
            if now >= end { break }
            while due <= now, let index = states.firstIndex(where: { isFree($0) }) {
                try begin(index, due)
                due += interval
            }
            for index in try poll.wait(nanos: due > now ? due - now : 1_000_000) { try take(all[index], index, &latencies) }
        }
        return latencies.sorted()
    }

    /// Nothing in flight, and the code, if one was asked for, is here.
    private func isFree(_ shopper: Shopper) -> Bool {
        guard shopper.dueNanos == 0 else { return false }
        guard shopper.isAsked else { return true }
        return shopper.challenge.map { codes[$0] != nil } ?? false
    }

    private func begin(_ index: Int, _ due: UInt64) throws {
        if let challenge = states[index].challenge, let code = codes.removeValue(forKey: challenge) {
            var message = Verify()
            message.requestID = peers[index].requestID(&generator)
            message.challenge = challenge
            message.session = states[index].session
            message.code = code
            states[index] = Shopper(dueNanos: due)
            try peers[index].send(message)
            return
        }
        let request = shoppers.request(peers[index], &generator)
        states[index] = Shopper(session: request.session, isAsked: true, dueNanos: due)
        try peers[index].send(request)
    }

    private func take(_ peer: BenchPeer, _ index: Int, _ latencies: inout [UInt64]) throws {
        for frame in try peer.receive() {
            if index == peers.count {
                guard frame.flags == .push, frame.opcode == Opcode.message.rawValue else { continue }
                let message = try frame.decode(MessagePush.self)
                codes[message.challenge] = code(of: message)
                pushes += 1
                if pushes % 32 == 0 { try courier.send(lease()) }
                continue
            }
            guard frame.status == .done else {
                throw BenchError("an honest request was refused: \(frame.status.map { "\($0)" } ?? "goodbye")")
            }
            answered += 1
            latencies.append(linux_monotonic_nanos() - states[index].dueNanos)
            states[index].dueNanos = 0
            if states[index].isAsked { states[index].challenge = try frame.decode(ChallengeReply.self).challenge }
        }
    }
}
