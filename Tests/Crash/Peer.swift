import CLinuxShim
import Glibc
import Wire

/// One logged connection to the server.
final class Peer {
    /// Unique within a log.
    let number: Int
    let fd: Int32
    /// The server has gone.
    private(set) var isDead = false
    private let log: OracleLog?
    /// The newest message of each challenge that was pushed here.
    private(set) var pushed: [Bytes16: MessagePush] = [:]
    private var input: [UInt8] = []
    private var outbox: [UInt8] = []
    private var correlation: UInt32 = 0
    private var engineMs: UInt64 = 0
    private var since: UInt64 = 0

    /// Connects and says Hello; throws when the server goes meanwhile.
    init(_ socket: String, number: Int, log: OracleLog?) throws {
        self.number = number
        self.log = log
        fd = linux_connect(socket)
        guard fd >= 0 else { throw CrashError("connect: \(String(cString: strerror(-fd)))") }
        let hello = try exchange(Hello()).decode(Hello.Reply.self)
        engineMs = hello.engineTimeMs
        since = linux_monotonic_nanos()
    }

    deinit { if fd >= 0 { close(fd) } }

    /// Engine time as this client knows it.
    var now: UInt64 { engineMs + (linux_monotonic_nanos() - since) / 1_000_000 }

    /// Learns engine time anew, after a turn of the clock.
    func learnTime() throws {
        engineMs = try exchange(Ping()).decode(Ping.Reply.self).engineTimeMs
        since = linux_monotonic_nanos()
    }

    func requestID(_ generator: inout SeededGenerator) -> Bytes16 {
        Bytes16(timeMs: now, tailHigh: UInt16(truncatingIfNeeded: generator.next()), tailLow: generator.next())
    }

    /// Notes it in the log; it leaves with the next `flush`, which comes after the log's sync.
    @discardableResult
    func queue<M: RequestMessage>(_ message: M) throws -> UInt32 {
        correlation &+= 1
        let (number, correlation) = (number, correlation)
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try bytes.withUnsafeMutableBytes {
            try FieldEncoder.request(message, correlation: correlation, into: $0)
        }
        bytes.removeLast(bytes.count - count)
        bytes.withUnsafeBytes { log?.sent(number, $0) }
        outbox += bytes
        return correlation
    }

    /// The same request once more, as it was logged.
    @discardableResult
    func queueAgain(_ opcode: UInt16, _ body: [UInt8]) -> UInt32 {
        correlation &+= 1
        var bytes: [UInt8] = []
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.bigEndian) { bytes += Array($0) } }
        append(UInt32(8 + body.count))
        append(opcode)
        append(UInt16(0))
        append(correlation)
        bytes += body
        let number = number
        bytes.withUnsafeBytes { log?.sent(number, $0) }
        outbox += bytes
        return correlation
    }

    /// Sends what was queued; the log must be synced.
    func flush() {
        var done = 0
        while done < outbox.count, !isDead {
            let count = outbox.withUnsafeBytes { send(fd, $0.baseAddress.map { $0 + done }, outbox.count - done, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { isDead = true } else { done += count }
        }
        outbox.removeAll(keepingCapacity: true)
    }

    /// What one read brings, noted in the log; call when there is input.
    func receive() throws -> [LoggedFrame] {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = read(fd, &chunk, chunk.count)
        if count < 0, errno == EINTR { return [] }
        guard count > 0 else {
            isDead = true
            return []
        }
        input += chunk.prefix(count)
        var frames: [LoggedFrame] = []
        var consumed = 0
        try input.withUnsafeBytes { raw in
            while let frame = try Frame.next(in: UnsafeRawBufferPointer(rebasing: raw[consumed...])) {
                log?.received(number, UnsafeRawBufferPointer(rebasing: raw[consumed..<consumed + frame.totalBytes]))
                consumed += frame.totalBytes
                let copy = LoggedFrame(frame)
                if copy.opcode == Opcode.message.rawValue {
                    let message = try copy.decode(MessagePush.self)
                    pushed[message.challenge] = message
                }
                frames.append(copy)
            }
        }
        input.removeFirst(consumed)
        return frames
    }

    /// Waits up to `milliseconds` for input.
    func hasInput(milliseconds: Int32) -> Bool {
        var polls = [pollfd(fd: fd, events: Int16(POLLIN), revents: 0)]
        return poll(&polls, 1, milliseconds) > 0
    }

    /// Sends and waits for the one reply; pushes that come before it are only logged.
    func exchange<M: RequestMessage>(_ message: M) throws -> LoggedFrame {
        let correlation = try queue(message)
        return try reply(to: [correlation])[0]
    }

    /// Sends what is queued and waits for the replies to `correlations`, in their order.
    func reply(to correlations: [UInt32]) throws -> [LoggedFrame] {
        try log?.sync()
        flush()
        var found: [UInt32: LoggedFrame] = [:]
        while correlations.contains(where: { found[$0] == nil }) {
            guard hasInput(milliseconds: 10_000) else { throw CrashError("no reply within 10 s") }
            for frame in try receive() where frame.flags == .reply { found[frame.correlation] = frame }
            try log?.sync()
            guard !isDead else { throw CrashError("the connection ended") }
        }
        return correlations.compactMap { found[$0] }
    }
}

/// Which of the peers have input, within a while.
func readable(_ peers: [Peer], milliseconds: Int32) -> [Int] {
    var polls = peers.map { pollfd(fd: $0.isDead ? -1 : $0.fd, events: Int16(POLLIN), revents: 0) }
    guard poll(&polls, nfds_t(polls.count), milliseconds) > 0 else { return [] }
    return polls.indices.filter { polls[$0].revents != 0 }
}
