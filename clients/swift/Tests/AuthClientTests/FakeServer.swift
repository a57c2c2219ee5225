import Foundation
import Synchronization
import Wire

/// A server on a Unix socket that does what a test's script says: one blocking thread a connection, so that
/// scripts read top to bottom.
final class FakeServer: Sendable {
    let path: String
    private let folder: URL
    private let listener: Int32
    private let state = Mutex(State())
    private let script: @Sendable (Int, Peer) throws -> Void

    private struct State {
        var accepted = 0
        var running = 0
        var errors: [String] = []
    }

    /// `script` gets the connection's number, from 0; the connection closes when it returns.
    init(_ script: @escaping @Sendable (Int, Peer) throws -> Void) throws {
        let pattern = FileManager.default.temporaryDirectory.appendingPathComponent("authclient-XXXXXX").path
        var template = pattern.utf8CString
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
        guard made else { throw FakeError.posix("mkdtemp", errno) }
        folder = URL(
            fileURLWithPath: String(
                decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        path = folder.appendingPathComponent("otpd.sock").path
        self.script = script
        listener = try FakeServer.listen(path)
        Thread.detachNewThread { self.accept() }
    }

    var connections: Int { state.withLock { $0.accepted } }

    /// Stops listening and says what the scripts had to complain about; a script that still runs is a
    /// complaint.
    func stop() async throws -> [String] {
        shutdown(listener, Int32(SHUT_RDWR))
        let isQuiet = await eventually { self.state.withLock { $0.running == 0 } }
        close(listener)
        try FileManager.default.removeItem(at: folder)
        return state.withLock { $0.errors } + (isQuiet ? [] : ["a script didn't end"])
    }

    private static func listen(_ path: String) throws -> Int32 {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard fd >= 0 else { throw FakeError.posix("socket", errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw FakeError.posix("bind", errno) }
        guard Glibc.listen(fd, 64) == 0 else { throw FakeError.posix("listen", errno) }
        return fd
    }

    private func accept() {
        while true {
            let fd = Glibc.accept(listener, nil, nil)
            guard fd >= 0 else { return }
            let number = state.withLock { state in
                defer { (state.accepted, state.running) = (state.accepted + 1, state.running + 1) }
                return state.accepted
            }
            Thread.detachNewThread { self.run(number, fd) }
        }
    }

    private func run(_ number: Int, _ fd: Int32) {
        var complaint: String?
        do {
            try script(number, try Peer(fd: fd))
        } catch { complaint = "connection \(number): \(error)" }
        close(fd)
        state.withLock { state in
            state.running -= 1
            if let complaint { state.errors.append(complaint) }
        }
    }
}

enum FakeError: Error {
    case posix(String, Int32)
    /// The client closed, or was silent for too long.
    case noFrame
    case unexpected(String)
}

/// The server's end of one connection; belongs to its script's thread.
final class Peer {
    /// A request as it came.
    struct Request: Sendable {
        let opcode: Opcode
        let correlation: UInt32
        let body: [UInt8]

        func decode<M: Message>(_ type: M.Type) throws -> M {
            try body.withUnsafeBytes { try FieldDecoder.decode(M.self, from: $0) }
        }
    }

    private let fd: Int32
    private var input: [UInt8] = []

    init(fd: Int32) throws {
        self.fd = fd
        // A `timeval` by its layout: which module owns the type depends on what else the package builds.
        var limit = (seconds: 10, micros: 0)
        let size = socklen_t(MemoryLayout.size(ofValue: limit))
        guard setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, size) == 0 else {
            throw FakeError.posix("setsockopt", errno)
        }
    }

    /// The next request; waits for it.
    func next() throws -> Request {
        guard let request = try nextUnlessClosed() else { throw FakeError.noFrame }
        return request
    }

    /// `nil` when the client has closed.
    func nextUnlessClosed() throws -> Request? {
        while true {
            if let request = try takeFrame() { return request }
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(fd, &bytes, bytes.count, 0)
            if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
            guard count > 0 else { throw FakeError.posix("recv", errno) }
            input += bytes.prefix(count)
        }
    }

    /// Whether anything comes within `milliseconds`.
    func hasMore(within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return !input.isEmpty || poll(&entry, 1, milliseconds) > 0
    }

    private func takeFrame() throws -> Request? {
        let found = try input.withUnsafeBytes { raw -> (Request, Int)? in
            guard let frame = try Frame.next(in: raw) else { return nil }
            guard frame.flags == [], let opcode = Opcode(rawValue: frame.opcode) else {
                throw FakeError.unexpected("flags \(frame.flags.rawValue), opcode \(frame.opcode)")
            }
            return (
                Request(opcode: opcode, correlation: frame.correlation, body: Array(frame.body)),
                frame.totalBytes
            )
        }
        guard let (request, count) = found else { return nil }
        input.removeFirst(count)
        return request
    }

    /// Hello's answer; returns what the client said.
    @discardableResult
    func hello(engineTimeMs: UInt64 = 1_700_000_000_000, maxInFlight: UInt16 = 64) throws -> Hello {
        let request = try next()
        guard request.opcode == .hello else { throw FakeError.unexpected("\(request.opcode) before Hello") }
        try reply(to: request, helloReply(engineTimeMs: engineTimeMs, maxInFlight: maxInFlight))
        return try request.decode(Hello.self)
    }

    func reply<M: Message>(to request: Request, _ message: M) throws {
        try send(replyFrame(message, opcode: request.opcode.rawValue, correlation: request.correlation))
    }

    func refuse(_ request: Request, _ refusal: Refusal) throws {
        try send(refusalFrame(refusal, opcode: request.opcode.rawValue, correlation: request.correlation))
    }

    func push<M: PushMessage>(_ message: M) throws { try send(pushFrame(message)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw FakeError.posix("send", errno) }
            sent += count
        }
    }

    /// Waits until the client closes.
    func expectClose() throws {
        if let request = try nextUnlessClosed() {
            throw FakeError.unexpected("\(request.opcode) instead of a close")
        }
    }
}
