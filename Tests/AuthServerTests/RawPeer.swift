import Glibc
import Wire

/// A blocking client over a plain socket: it can send anything, and it says what came back.
final class RawPeer {
    /// A frame that came.
    struct Received {
        var opcode: UInt16
        var flags: FrameFlags
        var correlation: UInt32
        var body: [UInt8]

        /// The status of a reply.
        var status: Status? {
            guard flags == .reply, body.count >= 2 else { return nil }
            return Status(rawValue: UInt16(body[0]) << 8 | UInt16(body[1]))
        }

        /// The message of a done reply or a push; throws for a refusal.
        func decode<M: Message>(_ type: M.Type) throws -> M {
            if flags == .reply, status != .done { throw TestError("refused: \(String(describing: status))") }
            return try body.withUnsafeBytes { raw in
                let start = flags == .reply ? 2 : 0
                return try FieldDecoder.decode(M.self, from: UnsafeRawBufferPointer(rebasing: raw[start...]))
            }
        }

        func refusal() throws -> Refusal {
            guard flags == .reply, status != .done else { throw TestError("not a refusal") }
            return try body.withUnsafeBytes { try FieldDecoder.decode(Refusal.self, from: $0) }
        }
    }

    let fd: Int32
    private var input: [UInt8] = []
    private var correlation: UInt32 = 0
    private var isOpen = true
    /// Set by `hello`.
    private(set) var server = Hello.Reply()

    init(_ path: String) throws {
        fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw TestError("path too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, size) }
        }
        guard code == 0 else {
            let reason = String(cString: strerror(errno))
            Glibc.close(fd)
            isOpen = false
            throw TestError("connect \(path): \(reason)")
        }
    }

    deinit { close() }

    func remember(_ reply: Hello.Reply) { server = reply }

    func close() {
        if isOpen { Glibc.close(fd) }
        isOpen = false
    }

    // MARK: out

    /// All of `bytes`; returns how many the kernel took before `seconds` were over or the connection ended.
    @discardableResult
    func send(_ bytes: [UInt8], seconds: Double = 5) -> Int {
        let end = ContinuousClock.now + .seconds(seconds)
        var done = 0
        while done < bytes.count, ContinuousClock.now < end {
            let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
            let count = bytes.withUnsafeBytes {
                Glibc.send(fd, $0.baseAddress.map { $0 + done }, bytes.count - done, flags)
            }
            if count > 0 {
                done += count
            } else if errno == EAGAIN {
                var poller = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
                poll(&poller, 1, 20)
            } else if errno != EINTR {
                break
            }
        }
        return done
    }

    /// Sends `bytes` with `count` descriptors of this process beside them (SCM_RIGHTS).
    func send(_ bytes: [UInt8], stuffedWith count: Int) -> Bool {
        let length = 16 + 4 * count
        // struct cmsghdr: length, level, type; then the descriptors, here standard error again and again.
        var control = [UInt32](repeating: 0, count: (length + 7) / 8 * 2)
        (control[0], control[2], control[3]) = (UInt32(length), UInt32(SOL_SOCKET), UInt32(SCM_RIGHTS))
        for index in 0..<count { control[4 + index] = 2 }
        var bytes = bytes
        let size = bytes.count
        return bytes.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { control in
                var part = iovec(iov_base: data.baseAddress, iov_len: size)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return sendmsg(fd, &message, Int32(MSG_NOSIGNAL)) == size
                }
            }
        }
    }

    /// A message's frame with the next correlation id.
    func frame<M: RequestMessage>(_ message: M) throws -> [UInt8] {
        correlation += 1
        return try encoded(message, correlation: correlation)
    }

    @discardableResult
    func send<M: RequestMessage>(_ message: M) throws -> UInt32 {
        let bytes = try frame(message)
        guard send(bytes) == bytes.count else { throw TestError("the server doesn't take the request") }
        return correlation
    }

    // MARK: in

    /// The next frame; `nil` = the connection has ended. Throws when nothing comes in time.
    func next(seconds: Double = 10) throws -> Received? {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            if let frame = try takeFrame() { return frame }
            let left = (end - ContinuousClock.now) / .milliseconds(1)
            guard left > 0 else { throw TestError("nothing came within \(seconds) s") }
            var poller = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, Int32(left) + 1) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(fd, &chunk, chunk.count)
            // A server that closes with unread input makes this ECONNRESET; what it sent before is read first.
            if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
            if count > 0 { input += chunk.prefix(count) }
        }
    }

    /// Whether nothing came for a little while and the connection still stands.
    func isQuiet(milliseconds: Int32 = 60) -> Bool {
        guard input.isEmpty else { return false }
        var poller = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, milliseconds) == 0
    }

    private func takeFrame() throws -> Received? {
        var found: Received?
        var consumed = 0
        try input.withUnsafeBytes { raw in
            guard let frame = try Frame.next(in: raw) else { return }
            consumed = frame.totalBytes
            found = Received(
                opcode: frame.opcode, flags: frame.flags, correlation: frame.correlation,
                body: Array(frame.body))
        }
        input.removeFirst(consumed)
        return found
    }

    /// The reply with this correlation id; pushes before it are dropped.
    func reply(to correlation: UInt32) throws -> Received {
        while let frame = try next() {
            if frame.flags == .push, frame.opcode == Opcode.goodbye.rawValue {
                throw TestError("goodbye: \(try frame.decode(Goodbye.self).text.text)")
            }
            if frame.flags == .reply, frame.correlation == correlation { return frame }
        }
        throw TestError("the connection ended without a reply")
    }

    @discardableResult
    func exchange<M: RequestMessage>(_ message: M) throws -> Received { try reply(to: try send(message)) }

    /// Everything up to the end: the replies, then why the server closed. Throws when it says nothing or doesn't close.
    func goodbye(seconds: Double = 10) throws -> (replies: [Received], reason: Goodbye.Reason?, text: String)
    {
        var replies: [Received] = []
        while let frame = try next(seconds: seconds) {
            guard frame.opcode == Opcode.goodbye.rawValue else {
                replies.append(frame)
                continue
            }
            guard frame.flags == .push, frame.correlation == 0 else {
                throw TestError("goodbye isn't a push")
            }
            let goodbye = try frame.decode(Goodbye.self)
            guard try next(seconds: seconds) == nil else { throw TestError("a frame after goodbye") }
            return (replies, Goodbye.Reason(rawValue: goodbye.reason), goodbye.text.text)
        }
        throw TestError("closed without a goodbye")
    }
}

/// A request's bytes.
func encoded<M: RequestMessage>(_ message: M, correlation: UInt32 = 7) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
    let count = try bytes.withUnsafeMutableBytes {
        try FieldEncoder.request(message, correlation: correlation, into: $0)
    }
    return Array(bytes.prefix(count))
}
