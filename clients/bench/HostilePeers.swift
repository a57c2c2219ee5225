import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// The attack of `hostile`, in a process of its own: thousands of connections, each of one hostile kind, renewed when the server ends them.
struct HostilePeers: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hostile-peers", shouldDisplay: false)

    @Option var socket: String
    @Option var connections: Int
    @Option var uid: UInt32
    @Option var seed: UInt64
    /// Connects a second that are closed at once.
    @Option var flood: Int

    /// What a connection does to be a nuisance.
    enum Kind: CaseIterable {
        /// Never a byte.
        case silent
        /// A byte of Hello a second.
        case dribble
        /// Half of Hello.
        case halfHello
        /// Hello, then half a request.
        case halfRequest
        /// Hello, then requests whose replies are never read.
        case deaf
        /// Subscribes to all events and reads none.
        case deafSubscriber
        /// Descriptors beside its bytes (SCM_RIGHTS).
        case stuffed
        case garbage
        /// A length of 4 GiB.
        case oversize
    }

    private struct Peer {
        var fd: Int32 = -1
        var kind: Kind
        var step = 0
    }

    /// Until it is killed.
    func run() throws {
        // Its connections are another user's: the server bounds them apart.
        if geteuid() == 0, uid != 0 { seteuid(uid) }
        signal(SIGPIPE, SIG_IGN)
        guard linux_raise_descriptor_limit() > connections + 64 else {
            throw BenchError("\(connections) connections need a higher limit of open files (ulimit -Hn)")
        }
        var generator = SeededGenerator(seed: seed)
        let kinds = Kind.allCases
        var peers = (0..<connections).map { Peer(kind: kinds[$0 % kinds.count]) }
        var (flooded, index) = (0, 0)
        let start = linux_monotonic_nanos()
        while true {
            // Each connection acts once a second, the flood at its rate.
            let now = Double(linux_monotonic_nanos() - start) / 1e9
            let dueActs = Int(now * Double(connections))
            while index < dueActs {
                act(&peers[index % connections], &generator)
                index += 1
            }
            while flooded < Int(now * Double(flood)) {
                let fd = connectNow()
                if fd >= 0 { close(fd) }
                flooded += 1
            }
            // Thousands of peers act at times of their own, not in clumps.
            usleep(100)
        }
    }

    /// Never waits: a full backlog is no reason to.
    private func connectNow() -> Int32 {
        let fd = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard fd >= 0 else { return -1 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socket.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if code == 0 { return fd }
        close(fd)
        return -1
    }

    private func act(_ peer: inout Peer, _ generator: inout SeededGenerator) {
        if peer.fd < 0 {
            peer.fd = connectNow()
            peer.step = 0
            if peer.fd < 0 { return }
        }
        let isAlive =
            switch peer.kind {
            case .silent: isOpen(peer.fd)
            case .dribble: send(peer.fd, peer.step < hello.count ? [hello[peer.step]] : [])
            case .halfHello: peer.step == 0 ? send(peer.fd, Array(hello.dropLast(9))) : isOpen(peer.fd)
            case .halfRequest: peer.step == 0 ? send(peer.fd, hello + ping.dropLast(3)) : isOpen(peer.fd)
            case .deaf: send(peer.fd, peer.step == 0 ? hello : Array(repeatElement(ping, count: 32).joined()))
            case .deafSubscriber: peer.step == 0 ? send(peer.fd, hello + subscribe) : isOpen(peer.fd)
            case .stuffed: (peer.step > 0 || send(peer.fd, hello)) && stuff(peer.fd) && drain(peer.fd)
            case .garbage: send(peer.fd, (0..<64).map { _ in UInt8(truncatingIfNeeded: generator.next()) }) && isOpen(peer.fd)
            case .oversize: send(peer.fd, [0xFF, 0xFF, 0xFF, 0xFF] + hello.dropFirst(4)) && isOpen(peer.fd)
            }
        peer.step += 1
        guard !isAlive else { return }
        close(peer.fd)
        peer.fd = -1
    }

    private var hello: [UInt8] { bytes(Hello()) }
    private var ping: [UInt8] { bytes(Ping()) }
    private var subscribe: [UInt8] {
        var message = Subscribe()
        message.start = Subscribe.Start.oldest.rawValue
        message.credit = .max
        return bytes(message)
    }

    private func bytes<M: RequestMessage>(_ message: M) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 256)
        do {
            let count = try bytes.withUnsafeMutableBytes { try FieldEncoder.request(message, correlation: 1, into: $0) }
            return Array(bytes.prefix(count))
        } catch { preconditionFailure("a request of ours can't be encoded: \(error)") }
    }

    /// False when the server has ended the connection.
    private func send(_ fd: Int32, _ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return isOpen(fd) }
        let count = bytes.withUnsafeBytes { Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
        return count >= 0 || errno == EAGAIN
    }

    /// Looks without reading: what isn't read stays the server's burden.
    private func isOpen(_ fd: Int32) -> Bool {
        var poller = pollfd(fd: fd, events: 0, revents: 0)
        return poll(&poller, 1, 0) == 0
    }

    private func drain(_ fd: Int32) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 8_192)
        let count = recv(fd, &chunk, chunk.count, Int32(MSG_DONTWAIT))
        return count > 0 || (count < 0 && errno == EAGAIN)
    }

    /// A Ping with sixteen descriptors beside it, which nobody should take in.
    private func stuff(_ fd: Int32) -> Bool {
        let count = 16
        var control = [UInt32](repeating: 2, count: 4 + count)
        (control[0], control[1], control[2], control[3]) = (UInt32(16 + 4 * count), 0, UInt32(SOL_SOCKET), 1)
        var data = ping
        let size = data.count
        let sent = data.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: data.baseAddress, iov_len: size)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    (message.msg_iov, message.msg_iovlen) = (part, 1)
                    (message.msg_control, message.msg_controllen) = (control.baseAddress, control.count)
                    return sendmsg(fd, &message, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                }
            }
        }
        return sent == size || (sent < 0 && errno == EAGAIN)
    }
}
