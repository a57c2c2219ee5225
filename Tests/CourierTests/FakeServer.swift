import Foundation
import Glibc
import Testing
import Wire

/// The server's side of a Unix socket, scripted by the test itself: each call waits for the courier, up to a
/// deadline.
final class FakeServer {
    struct Failed: Error {
        let operation: String
    }

    let path: String
    private let listener: Int32

    init(_ path: String) throws {
        self.path = path
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let isBound = withUnsafeBytes(of: &address) { raw in
            bind(listener, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), length) == 0
        }
        guard isBound, listen(listener, 8) == 0 else {
            throw Failed(operation: "bind \(path): errno \(errno)")
        }
    }

    /// The courier's next connection.
    func accept(within seconds: Double = 10) throws -> FakePeer {
        var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&poller, 1, Int32(seconds * 1_000)) > 0 else {
            throw Failed(operation: "nobody connected")
        }
        let fd = Glibc.accept(listener, nil, nil)
        guard fd >= 0 else { throw Failed(operation: "accept: errno \(errno)") }
        return FakePeer(fd)
    }

    deinit {
        close(listener)
        unlink(path)
    }
}

/// One connection of the courier, seen from the server.
final class FakePeer {
    struct Received {
        let opcode: UInt16
        let flags: FrameFlags
        let correlation: UInt32
        let body: [UInt8]

        func decode<M: Message>(_ type: M.Type) throws -> M {
            try body.withUnsafeBytes { try FieldDecoder.decode(M.self, from: $0) }
        }
    }

    private var fd: Int32
    private var input: [UInt8] = []

    init(_ fd: Int32) { self.fd = fd }

    /// The next frame; `nil` at the end of the connection.
    func next(within seconds: Double = 10) throws -> Received? {
        while true {
            if let frame = try takeFrame() { return frame }
            var poller = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, Int32(seconds * 1_000)) > 0 else {
                throw FakeServer.Failed(operation: "no frame came")
            }
            var buffer = [UInt8](repeating: 0, count: 8192)
            let count = read(fd, &buffer, buffer.count)
            guard count > 0 else { return nil }
            input += buffer.prefix(count)
        }
    }

    private func takeFrame() throws -> Received? {
        let frame = try input.withUnsafeBytes { raw -> (Received, Int)? in
            guard let frame = try Frame.next(in: raw) else { return nil }
            return (
                Received(
                    opcode: frame.opcode, flags: frame.flags, correlation: frame.correlation,
                    body: Array(frame.body)),
                frame.totalBytes
            )
        }
        guard let (received, count) = frame else { return nil }
        input.removeFirst(count)
        return received
    }

    /// The next frame, which must be a request of this kind.
    func expect<M: RequestMessage>(_ type: M.Type) throws -> (message: M, frame: Received) {
        let frame = try #require(try next(), "the courier closed instead of sending \(M.opcode)")
        try #require(Opcode(rawValue: frame.opcode) == M.opcode)
        try #require(frame.flags == [])
        return (try frame.decode(M.self), frame)
    }

    func reply<M: Message>(_ message: M, to frame: Received) throws {
        try send {
            try FieldEncoder.reply(message, to: frame.opcode, correlation: frame.correlation, into: $0)
        }
    }

    func refuse(_ status: Status, _ frame: Received) throws {
        try send {
            try FieldEncoder.refusal(
                Refusal(status), to: frame.opcode, correlation: frame.correlation, into: $0)
        }
    }

    func push<M: PushMessage>(_ message: M) throws { try send { try FieldEncoder.push(message, into: $0) } }

    private func send(_ encode: (UnsafeMutableRawBufferPointer) throws -> Int) throws {
        var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try buffer.withUnsafeMutableBytes { try encode($0) }
        guard Glibc.send(fd, buffer, count, Int32(MSG_NOSIGNAL)) == count else {
            throw FakeServer.Failed(operation: "send: errno \(errno)")
        }
    }

    /// Hello and the first credit, as every connection begins.
    @discardableResult
    func greet(engineTimeMs: UInt64 = 1_000_000) throws -> Hello {
        let hello = try expect(Hello.self)
        var welcome = Hello.Reply()
        welcome.version = 1
        welcome.tenant = 1
        welcome.roles = Role.courier.rawValue
        welcome.engineTimeMs = engineTimeMs
        try reply(welcome, to: hello.frame)
        let lease = try expect(LeaseMessages.self)
        try #require(lease.message.credit == 32)
        var granted = LeaseMessages.Reply()
        granted.credit = lease.message.credit
        granted.leaseMs = 15_000
        try reply(granted, to: lease.frame)
        return hello.message
    }

    func close() {
        if fd >= 0 { Glibc.close(fd) }
        fd = -1
    }

    deinit { close() }
}
