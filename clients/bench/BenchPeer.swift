import CBenchPoll
import CLinuxShim
import Glibc
import Wire

/// One connection of the bench: a blocking socket with its own input buffer.
final class BenchPeer {
    /// A frame that came.
    struct Received {
        var opcode: UInt16
        var flags: FrameFlags
        var correlation: UInt32
        var body: [UInt8]

        /// The status of a reply.
        var status: Status? { body.count >= 2 ? Status(rawValue: UInt16(body[0]) << 8 | UInt16(body[1])) : nil }

        func decode<M: Message>(_ type: M.Type) throws -> M {
            try body.withUnsafeBytes { raw in
                let isReply = flags == .reply && raw[0] == 0 && raw[1] == 0
                return try FieldDecoder.decode(M.self, from: UnsafeRawBufferPointer(rebasing: raw[(isReply ? 2 : 0)...]))
            }
        }
    }

    let fd: Int32
    private var input: [UInt8] = []
    private var output = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
    private var chunk = [UInt8](repeating: 0, count: 64 << 10)
    private(set) var correlation: UInt32 = 0
    private var engineMs: UInt64 = 0
    private var since: UInt64 = 0

    /// Connects and says Hello.
    init(_ socket: String) throws {
        fd = linux_connect(socket)
        guard fd >= 0 else { throw BenchError("connect \(socket): \(String(cString: strerror(-fd)))") }
        let hello = try exchange(Hello()).decode(Hello.Reply.self)
        engineMs = hello.engineTimeMs
        since = linux_monotonic_nanos()
    }

    deinit { close(fd) }

    /// From now on a read that takes longer fails.
    func limitReads(seconds: Int) {
        // A `timeval` by its layout: which module owns the type depends on what else the package builds.
        var time = (seconds: seconds, micros: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout.size(ofValue: time)))
    }

    func requestID(_ generator: inout SeededGenerator) -> Bytes16 {
        let now = engineMs + (linux_monotonic_nanos() - since) / 1_000_000
        return Bytes16(
            timeMs: now, tailHigh: UInt16(truncatingIfNeeded: generator.next()), tailLow: generator.next())
    }

    @discardableResult
    func send<M: RequestMessage>(_ message: M) throws -> UInt32 {
        correlation &+= 1
        let number = correlation
        let count = try output.withUnsafeMutableBytes { try FieldEncoder.request(message, correlation: number, into: $0) }
        var done = 0
        while done < count {
            let written = output.withUnsafeBytes { write(fd, $0.baseAddress.map { $0 + done }, count - done) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw BenchError("write: \(String(cString: strerror(errno)))") }
            done += written
        }
        return number
    }

    /// What one read brings; throws at the end of the connection.
    func receive() throws -> [Received] {
        let count = read(fd, &chunk, chunk.count)
        if count < 0, errno == EINTR { return [] }
        if count < 0, errno == EAGAIN { throw BenchError("no reply came in time") }
        guard count > 0 else { throw BenchError("the connection ended") }
        input += chunk.prefix(count)
        var frames: [Received] = []
        var consumed = 0
        try input.withUnsafeBytes { raw in
            while let frame = try Frame.next(in: UnsafeRawBufferPointer(rebasing: raw[consumed...])) {
                consumed += frame.totalBytes
                frames.append(
                    Received(
                        opcode: frame.opcode, flags: frame.flags, correlation: frame.correlation, body: Array(frame.body)))
            }
        }
        input.removeFirst(consumed)
        return frames
    }

    /// Sends and waits for the one reply; pushes that come before it are dropped.
    func exchange<M: RequestMessage>(_ message: M) throws -> Received {
        let number = try send(message)
        while true {
            for frame in try receive() where frame.flags == .reply && frame.correlation == number { return frame }
        }
    }
}

/// Waits for input of some peers, by epoll: poll(2) looks at each of them on every turn, in whole milliseconds.
final class PeerPoll {
    private let epoll: Int32
    private var keys: [UInt32]

    init(_ peers: [BenchPeer]) throws {
        epoll = bench_poll_create()
        keys = Array(repeating: 0, count: peers.count)
        guard epoll >= 0 else { throw BenchError("epoll: \(String(cString: strerror(-epoll)))") }
        for (index, peer) in peers.enumerated() {
            let code = bench_poll_add(epoll, peer.fd, UInt32(index))
            guard code == 0 else { throw BenchError("epoll: \(String(cString: strerror(-code)))") }
        }
    }

    deinit { close(epoll) }

    /// Waits `nanos` at most; the indices of those with input.
    func wait(nanos: UInt64) throws -> [Int] {
        let count = keys.withUnsafeMutableBufferPointer { bench_poll_wait(epoll, $0.baseAddress, Int32($0.count), nanos) }
        guard count >= 0 else { throw BenchError("epoll: \(String(cString: strerror(-count)))") }
        return keys.prefix(Int(count)).map(Int.init)
    }
}

/// Requests with accounts and phones that nothing else uses, so that no limit is in the way.
struct Shoppers {
    private var next: UInt64

    init(seed: UInt64) { next = seed % 10_000_000 }

    mutating func request(_ peer: BenchPeer, _ generator: inout SeededGenerator) -> RequestCode {
        next += 1
        var message = RequestCode()
        message.requestID = peer.requestID(&generator)
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("account-\(next)")
        let digits = String(next)
        message.phone = PhoneBytes("+336" + String(repeating: "0", count: 8 - digits.count) + digits)
        message.session = Bytes32(head: Bytes16(high: generator.next(), low: 1), tail: Bytes16(high: 2, low: 3))
        return message
    }
}

/// The code of a message: the text's first word.
func code(of message: MessagePush) -> CodeBytes {
    CodeBytes(message.text.array.prefix { $0 != 0x20 })
}

/// Credit for the bench's own courier.
func lease(_ credit: UInt16 = 64) -> LeaseMessages {
    var message = LeaseMessages()
    message.credit = credit
    return message
}
