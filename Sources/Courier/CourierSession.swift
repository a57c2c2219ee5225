import Wire

/// The courier's side of one connection: bytes in, bytes out, messages for the gateway. Pure: it knows no socket and no clock.
struct CourierSession {
    /// Messages that may be on their way to us at once.
    static let credit: UInt16 = 32

    /// What the owner must do.
    enum Action {
        case send([UInt8])
        case deliver(MessagePush)
        /// The server ended the connection, or broke the protocol.
        case close(String)
    }

    private var input: [UInt8] = []
    private var correlation: UInt32 = 0
    private var isReady = false
    private var taken: UInt16 = 0

    /// The first bytes of a connection.
    mutating func start() -> [UInt8] {
        var hello = Hello()
        hello.roles = Role.courier.rawValue
        hello.client = InlineBytes("otp-courier 0.1")
        return frame(hello)
    }

    mutating func ping() -> [UInt8] { frame(Ping()) }

    /// A report, and more credit when half of it is used.
    mutating func report(_ message: MessagePush, _ outcome: ReportMessage.Outcome) -> [UInt8] {
        var report = ReportMessage()
        report.challenge = message.challenge
        report.send = message.send
        report.token = message.token
        report.outcome = outcome.rawValue
        var bytes = frame(report)
        taken += 1
        if taken >= CourierSession.credit / 2 {
            bytes += lease()
            taken = 0
        }
        return bytes
    }

    private mutating func lease() -> [UInt8] {
        var lease = LeaseMessages()
        lease.credit = CourierSession.credit
        return frame(lease)
    }

    private mutating func frame<M: RequestMessage>(_ message: M) -> [UInt8] {
        correlation &+= 1
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let number = correlation
        let count = bytes.withUnsafeMutableBytes { buffer -> Int in
            do { return try FieldEncoder.request(message, correlation: number, into: buffer) } catch {
                preconditionFailure("a request of our own doesn't fit a frame: \(error)")
            }
        }
        return Array(bytes.prefix(count))
    }

    /// Takes what came in.
    mutating func receive(_ bytes: some Collection<UInt8>) -> [Action] {
        input += bytes
        var actions: [Action] = []
        var consumed = 0
        input.withUnsafeBytes { raw in
            do throws(WireError) {
                while let frame = try Frame.next(in: UnsafeRawBufferPointer(rebasing: raw[consumed...])) {
                    consumed += frame.totalBytes
                    if let action = try handle(frame) { actions.append(action) }
                }
            } catch { actions.append(.close("the server broke the protocol: \(error)")) }
        }
        input.removeFirst(consumed)
        if isReady, !hasLeased {
            hasLeased = true
            actions.append(.send(lease()))
        }
        return actions
    }

    private var hasLeased = false

    private mutating func handle(_ frame: Frame) throws(WireError) -> Action? {
        if frame.flags == .push {
            switch Opcode(rawValue: frame.opcode) {
            case .message: return .deliver(try FieldDecoder.decode(MessagePush.self, from: frame.body))
            case .goodbye:
                return .close(try FieldDecoder.decode(Goodbye.self, from: frame.body).text.text)
            case .some, .none: return nil
            }
        }
        // A reply: only Hello's changes anything; a refused report means that the lease is over.
        if frame.opcode == Opcode.hello.rawValue { isReady = true }
        return nil
    }
}
