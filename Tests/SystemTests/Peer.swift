import CLinuxShim
import Glibc
import Wire

/// A connection to a real server, for what otpctl doesn't do: pipelining, and watching how it ends.
final class Peer {
    private let fd: Int32
    private var input: [UInt8] = []
    private(set) var server = Hello.Reply()

    /// Connects and says Hello.
    init(_ path: String) throws {
        fd = linux_connect(path)
        guard fd >= 0 else { throw TestError("connect \(path): \(String(cString: strerror(-fd)))") }
        try send(Hello(), 1)
        guard let reply = try next(), reply.flags == .reply, reply.body.starts(with: [0, 0]) else {
            throw TestError("no welcome")
        }
        server = try reply.body.withUnsafeBytes {
            try FieldDecoder.decode(Hello.Reply.self, from: UnsafeRawBufferPointer(rebasing: $0[2...]))
        }
    }

    deinit { if fd >= 0 { close(fd) } }

    func send<M: RequestMessage>(_ message: M, _ correlation: UInt32) throws {
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try bytes.withUnsafeMutableBytes {
            try FieldEncoder.request(message, correlation: correlation, into: $0)
        }
        guard Glibc.send(fd, bytes, count, Int32(MSG_NOSIGNAL)) == count else { throw TestError("send") }
    }

    /// The next frame; `nil` at the end of the connection.
    func next() throws -> (opcode: UInt16, flags: FrameFlags, correlation: UInt32, body: [UInt8])? {
        while true {
            var found: (UInt16, FrameFlags, UInt32, [UInt8])?
            var consumed = 0
            try input.withUnsafeBytes { raw in
                guard let frame = try Frame.next(in: raw) else { return }
                consumed = frame.totalBytes
                found = (frame.opcode, frame.flags, frame.correlation, Array(frame.body))
            }
            input.removeFirst(consumed)
            if let found { return found }
            var poller = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 10_000) > 0 else { throw TestError("nothing came within 10 s") }
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(fd, &chunk, chunk.count)
            if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
            if count > 0 { input += chunk.prefix(count) }
        }
    }

    func requestCode(_ number: Int) -> RequestCode {
        var message = RequestCode()
        message.requestID = Bytes16(
            timeMs: server.engineTimeMs, tailHigh: .random(in: 0...UInt16.max),
            tailLow: .random(in: 0...UInt64.max))
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("account-\(number)")
        message.phone = PhoneBytes("+3361234\(1_000 + number)")
        message.session = Bytes32(head: Bytes16(high: 1, low: 1), tail: .zero)
        return message
    }
}
