import ArgumentParser
import CBenchPoll
import CLinuxShim
import Glibc
import Wire

/// An attack of `hostile` by one user, in a process of its own: connections that keep requests outstanding,
/// more than they are due, and read every reply.
struct UserAttack: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "user-attack", shouldDisplay: false)

    /// What it asks for.
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        /// Lookups in long pipelines.
        case pings
        /// Guesses at challenges that aren't there, from as many connections as a user may have.
        case verifies

        var name: String { rawValue }
        /// Connections that it wants.
        var connections: Int { self == .pings ? 40 : 760 }
        /// Requests that each keeps outstanding.
        var outstanding: Int { self == .pings ? 256 : 16 }
    }

    @Option var socket: String
    @Option var kind: Kind
    @Option var connections: Int
    @Option var uid: UInt32

    private struct Peer {
        var fd: Int32
        var request: [UInt8]
        /// Bytes of requests that are still to be sent.
        var owed: Int
        /// Bytes of them that were sent; a multiple of the request's length is a border.
        var sent = 0
        /// The beginning of a reply that hasn't come whole.
        var rest: [UInt8] = []
    }

    /// Until it is killed.
    func run() throws {
        guard seteuid(uid) == 0 else { throw BenchError("an attack by another user takes root") }
        // What is measured is how otpd shares its time, not how the kernel shares the processors with those
        // who attack.
        _ = linux_yield_to_others(10)
        signal(SIGPIPE, SIG_IGN)
        _ = linux_raise_descriptor_limit()
        let epoll = bench_poll_create()
        var peers: [Peer] = []
        for index in 0..<connections {
            let peer = try BenchPeer(socket)
            var generator = SeededGenerator(seed: UInt64(index))
            let fd = dup(peer.fd)
            guard fd >= 0, fcntl(fd, F_SETFL, O_NONBLOCK) == 0 else {
                throw BenchError("dup: \(String(cString: strerror(errno)))")
            }
            let request = try request(peer, &generator)
            peers.append(Peer(fd: fd, request: request, owed: request.count * kind.outstanding))
            guard bench_poll_add(epoll, fd, UInt32(index)) == 0 else { throw BenchError("epoll") }
            send(&peers[index])
        }
        var ready = [UInt32](repeating: 0, count: connections)
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = ready.withUnsafeMutableBufferPointer {
                bench_poll_wait(epoll, $0.baseAddress, Int32($0.count), 10_000_000)
            }
            for place in ready.prefix(Int(max(0, count))) { try receive(&peers[Int(place)], &chunk) }
            // Whose requests didn't fit the socket.
            for index in peers.indices where peers[index].owed > 0 { send(&peers[index]) }
        }
    }

    private func request(_ peer: BenchPeer, _ generator: inout SeededGenerator) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = try bytes.withUnsafeMutableBytes { buffer in
            switch kind {
            case .pings: return try FieldEncoder.request(Ping(), correlation: 1, into: buffer)
            case .verifies:
                var message = Verify()
                message.requestID = peer.requestID(&generator)
                message.challenge = peer.requestID(&generator)
                message.code = CodeBytes("123456")
                return try FieldEncoder.request(message, correlation: 1, into: buffer)
            }
        }
        return Array(bytes.prefix(count))
    }

    /// One request more for each reply.
    private func receive(_ peer: inout Peer, _ chunk: inout [UInt8]) throws {
        let count = recv(peer.fd, &chunk, chunk.count, Int32(MSG_DONTWAIT))
        // An attack that is over would be no attack.
        guard count != 0 else {
            throw BenchError("the server ended a connection of the attack by \(kind.name)")
        }
        guard count > 0 else { return }
        peer.rest += chunk.prefix(count)
        var place = 0
        while peer.rest.count - place >= 4 {
            let length = peer.rest[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } + 4
            guard peer.rest.count - place >= length else { break }
            place += length
            peer.owed += peer.request.count
        }
        peer.rest.removeFirst(place)
        send(&peer)
    }

    private func send(_ peer: inout Peer) {
        while peer.owed > 0 {
            // Requests of one connection are all the same.
            let start = peer.sent % peer.request.count
            var burst: [UInt8] = Array(peer.request[start...])
            while burst.count < min(peer.owed, 16 << 10) { burst += peer.request }
            let wanted = min(burst.count, peer.owed)
            let count = burst.withUnsafeBytes {
                Glibc.send(peer.fd, $0.baseAddress, wanted, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            guard count > 0 else { return }
            peer.sent += count
            peer.owed -= count
        }
    }
}
