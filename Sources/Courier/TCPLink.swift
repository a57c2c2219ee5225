import CLinuxShim
import Glibc

/// A non-blocking TCP connection as a client, with or without TLS.
struct TCPLink {
    /// What a read or write came to.
    enum Outcome {
        case bytes(Int)
        /// Nothing now.
        case wouldBlock
        case closed(String)
    }

    let fd: Int32
    /// Bytes can be read and written.
    private(set) var isConnected = false
    private var isReachable = false
    private let tls: TLSClient?
    /// What poll(2) must wait for until it is connected.
    private(set) var connectEvents = Int16(POLLOUT)

    /// Begins to connect.
    init(_ address: HostLookup.Address, tls settings: TLSSettings?) throws(CourierError) {
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        fd = socket(address.family, flags, 0)
        guard fd >= 0 else { throw CourierError("socket: \(String(cString: strerror(errno)))") }
        var yes: Int32 = 1
        setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        let fd = self.fd
        let isBegun = address.bytes.withUnsafeBytes { raw in
            connect(fd, raw.bindMemory(to: sockaddr.self).baseAddress, socklen_t(raw.count)) == 0
                || errno == EINPROGRESS
        }
        let error = errno
        do throws(CourierError) {
            guard isBegun else { throw CourierError(String(cString: strerror(error))) }
            if let settings { tls = try TLSClient(fd: fd, settings) } else { tls = nil }
        } catch {
            Glibc.close(fd)
            throw error
        }
    }

    /// Looks whether the connection stands by now; the reason why it never will.
    mutating func finishConnecting() -> String? {
        if !isReachable {
            var poller = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
            guard poll(&poller, 1, 0) > 0 else { return nil }
            var error: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length)
            if error != 0 { return String(cString: strerror(error)) }
            isReachable = true
        }
        switch tls?.handshake() ?? .done {
        case .done: isConnected = true
        case .wantsToRead: connectEvents = Int16(POLLIN)
        case .wantsToWrite: connectEvents = Int16(POLLOUT)
        case .failed(let why): return why
        }
        return nil
    }

    /// There is something to read that poll(2) doesn't know of.
    var hasPending: Bool { tls?.hasPending ?? false }

    func read(into buffer: inout [UInt8]) -> Outcome {
        if let tls { return tls.read(into: &buffer) }
        let count = recv(fd, &buffer, buffer.count, 0)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .closed("the peer closed the connection") }
        return TCPLink.failure()
    }

    func write(_ bytes: [UInt8]) -> Outcome {
        if let tls { return tls.write(bytes) }
        let count = send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        return count >= 0 ? .bytes(count) : TCPLink.failure()
    }

    private static func failure() -> Outcome {
        errno == EAGAIN || errno == EINTR ? .wouldBlock : .closed(String(cString: strerror(errno)))
    }

    func close() { Glibc.close(fd) }
}
