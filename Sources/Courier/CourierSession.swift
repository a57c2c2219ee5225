import Wire

/// The courier's side of one connection: bytes in, bytes out, messages for the gateway. Pure: it knows no socket and no clock.
struct CourierSession {
    /// Messages that may be on their way to us at once, when the gateway has room for as many.
    static let credit = 32
    /// Reports without an answer at once: below the server's 64 requests in flight, with room for credit and pings.
    static let maxReports = 48
    /// Reports kept for later; beyond it the oldest is lost, and its message's lease runs out.
    static let maxWaiting = 8_192

    /// Receipts of other couriers' messages that wait, and that have no answer yet: 48, these and what else there is stay below 64.
    static let maxReceipts = 1_024
    static let maxReceiptsSent = 8
    /// Gateways whose state is told, all at once: the server hears of 32. Of the 64 in flight, 48 reports, 8 receipts, a ping
    /// and a lease leave 6, so they go in turns.
    static let maxRoutes = 4

    /// What the owner must do.
    enum Action {
        case send([UInt8])
        /// The server's greeting: engine time now, milliseconds.
        case clock(engineTimeMs: UInt64)
        /// The server took our credit: messages may come.
        case ready
        case deliver(MessagePush)
        /// An operator's wish about one of our gateways.
        case drain(String, Bool)
        /// The server ended the connection, or broke the protocol. `isOrderly`: it stops, and that is all.
        case close(String, isOrderly: Bool)
    }

    private var input: [UInt8] = []
    private var correlation: UInt32 = 0
    private var isReady = false
    /// What the server was told last, less the pushes since; `nil` = nothing yet.
    private var credit: Int?
    /// Messages that the gateway takes.
    private var room: Int
    private var unanswered: [UInt32: ReportMessage] = [:]
    /// Not sent yet, or refused for now.
    private var waiting: [ReportMessage]

    /// Gateways that were told of, by the request's number, until it is answered.
    private var told: [UInt32: String] = [:]
    private var receipts: [ReportReceipt] = []
    private var receiptsSent = 0

    /// - Parameters:
    ///   - room: messages that the gateway takes.
    ///   - unsettled: reports of an earlier connection. The server may have heard them: a report is idempotent.
    init(room: Int = .max, unsettled: [ReportMessage] = []) {
        self.room = min(room, CourierSession.credit)
        waiting = unsettled
    }

    /// The first bytes of a connection.
    mutating func start() -> [UInt8] {
        var hello = Hello()
        hello.roles = Role.courier.rawValue
        hello.client = InlineBytes("otp-courier 0.1")
        return frame(hello)
    }

    mutating func ping() -> [UInt8] { frame(Ping()) }

    /// Reports that the server hasn't answered, in no order.
    var unsettled: [ReportMessage] { unanswered.sorted { $0.key < $1.key }.map(\.value) + waiting }

    /// What became of a message. Returns frames to send, now or not yet.
    mutating func report(_ report: ReportMessage) -> [UInt8] {
        if waiting.count >= CourierSession.maxWaiting { waiting.removeFirst() }
        waiting.append(report)
        return sendReports()
    }

    /// Frames of reports that the server has room for. Called now and then, it repeats those that were refused for the moment.
    mutating func sendReports() -> [UInt8] {
        guard isReady, !waiting.isEmpty else { return [] }
        var frames: [UInt8] = []
        let count = min(waiting.count, CourierSession.maxReports - unanswered.count)
        for report in waiting.prefix(count) {
            frames += frame(report)
            unanswered[correlation] = report
        }
        waiting.removeFirst(count)
        return frames
    }

    /// What a gateway said of a message that another courier submitted.
    mutating func tell(_ receipt: ReportReceipt) -> [UInt8] {
        if receipts.count >= CourierSession.maxReceipts { receipts.removeFirst() }
        receipts.append(receipt)
        return sendReceipts()
    }

    private mutating func sendReceipts() -> [UInt8] {
        guard isReady else { return [] }
        var frames: [UInt8] = []
        while receiptsSent < CourierSession.maxReceiptsSent, !receipts.isEmpty {
            frames += frame(receipts.removeFirst())
            receiptsSent += 1
        }
        return frames
    }

    /// How our gateways do. Those of the last time must have been answered.
    mutating func tell(_ routes: [ReportRoute]) -> [UInt8] {
        guard isReady, told.isEmpty else { return [] }
        var frames: [UInt8] = []
        for route in routes.prefix(CourierSession.maxRoutes) {
            frames += frame(route)
            told[correlation] = route.gateway.text
        }
        return frames
    }

    private mutating func wished(_ number: UInt32, _ body: UnsafeRawBufferPointer?) throws(WireError) -> Action? {
        guard let name = told.removeValue(forKey: number), let body else { return nil }
        return .drain(name, try FieldDecoder.decode(ReportRoute.Reply.self, from: body).drained != 0)
    }

    /// The gateway takes so many: the server learns whether to push more.
    mutating func set(room: Int) -> [UInt8] {
        self.room = min(room, CourierSession.credit)
        return needsCredit ? lease() : []
    }

    private mutating func answered(_ number: UInt32, _ status: UInt16) -> Action? {
        guard let report = unanswered.removeValue(forKey: number) else { return nil }
        // A report that is refused for good means that the lease is over.
        if Status(rawValue: status)?.isRetryable == true {
            waiting.append(report)
            return nil
        }
        let frames = sendReports()
        return frames.isEmpty ? nil : .send(frames)
    }

    /// A push takes credit whatever becomes of the message: an expired one, never reported, too.
    private var needsCredit: Bool {
        guard isReady, let credit else { return isReady }
        return room > 0 ? credit <= room / 2 : credit > 0
    }

    private mutating func lease() -> [UInt8] {
        var lease = LeaseMessages()
        lease.credit = UInt16(room)
        credit = room
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
                    let wasReady = isReady
                    if let action = try handle(frame) { actions.append(action) }
                    if isReady, credit == nil { actions.append(.send(lease())) }
                    if !wasReady, isReady, !waiting.isEmpty { actions.append(.send(sendReports())) }
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
                credit = credit.map { max(0, $0 - 1) }
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
        // Without Hello or credit no message would ever come.
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
        case .reportMessage: return answered(frame.correlation, status)
        case .reportReceipt:
            // Idempotent, and the gateway repeats what matters: a refused one isn't told again.
            receiptsSent -= min(1, receiptsSent)
            let frames = sendReceipts()
            return frames.isEmpty ? nil : .send(frames)
        case .reportRoute: return try wished(frame.correlation, isDone ? UnsafeRawBufferPointer(rebasing: frame.body[2...]) : nil)
        case .some, .none: return nil
        }
    }
}
