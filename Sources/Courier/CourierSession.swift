import Wire

/// The courier's side of one connection: bytes in, bytes out, messages for the gateway. Pure: it knows no socket and no clock.
struct CourierSession {
    /// Messages that may be on their way to us at once.
    static let credit: UInt16 = 32

    /// What the owner must do.
    enum Action {
        case send([UInt8])
        /// The server's greeting: engine time now, milliseconds.
        case clock(engineTimeMs: UInt64)
        /// The server took our credit: messages may come.
        case ready
        case deliver(MessagePush)
        /// The server ended the connection, or broke the protocol. `isOrderly`: it stops, and that is all.
        case close(String, isOrderly: Bool)
    }

    private var input: [UInt8] = []
    private var correlation: UInt32 = 0
    private var isReady = false
    private var hasLeased = false
    /// Pushes since the last LeaseMessages.
    private var taken: UInt16 = 0

    /// The first bytes of a connection.
    mutating func start() -> [UInt8] {
        var hello = Hello()
        hello.roles = Role.courier.rawValue
        hello.client = InlineBytes("otp-courier 0.1")
        return frame(hello)
    }

    mutating func ping() -> [UInt8] { frame(Ping()) }

    /// What became of a message.
    mutating func report(_ message: MessagePush, _ outcome: ReportMessage.Outcome) -> [UInt8] {
        var report = ReportMessage()
        report.challenge = message.challenge
        report.send = message.send
        report.token = message.token
        report.outcome = outcome.rawValue
        return frame(report)
    }

    /// A push takes credit whatever becomes of the message: an expired one, never reported, too.
    private var needsCredit: Bool { isReady && (!hasLeased || taken >= CourierSession.credit / 2) }

    private mutating func lease() -> [UInt8] {
        hasLeased = true
        taken = 0
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
                    if needsCredit { actions.append(.send(lease())) }
                }
            } catch { actions.append(.close("the server broke the protocol: \(error)", isOrderly: false)) }
        }
        input.removeFirst(consumed)
        return actions
    }

    private mutating func handle(_ frame: Frame) throws(WireError) -> Action? {
        if frame.flags == .push {
            switch Opcode(rawValue: frame.opcode) {
            case .message:
                taken += 1
                return .deliver(try FieldDecoder.decode(MessagePush.self, from: frame.body))
            case .goodbye:
                let goodbye = try FieldDecoder.decode(Goodbye.self, from: frame.body)
                let isOrderly = goodbye.reason == Goodbye.Reason.shuttingDown.rawValue
                return .close("the server ended the connection: \(goodbye.text.text)", isOrderly: isOrderly)
            case .some, .none: return nil
            }
        }
        guard frame.body.count >= 2 else { throw .truncatedBody }
        let status = UInt16(bigEndian: frame.body.loadUnaligned(as: UInt16.self))
        let isDone = status == Status.done.rawValue
        // A refused report means that the lease is over; without Hello or credit no message would ever come.
        switch Opcode(rawValue: frame.opcode) {
        case .hello where isDone:
            let body = UnsafeRawBufferPointer(rebasing: frame.body[2...])
            isReady = true
            return .clock(engineTimeMs: try FieldDecoder.decode(Hello.Reply.self, from: body).engineTimeMs)
        case .hello, .leaseMessages:
            if isDone { return .ready }
            let name = Status(rawValue: status).map { "\($0)" } ?? "status \(status)"
            let isOrderly = status == Status.draining.rawValue
            return .close("the server refused this courier: \(name)", isOrderly: isOrderly)
        case .some, .none: return nil
        }
    }
}
