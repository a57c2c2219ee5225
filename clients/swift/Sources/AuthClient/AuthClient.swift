public import NIOCore
public import NIOPosix
import Synchronization
public import Wire

/// otpd's client: asks for codes, verifies them, redeems grants, over one Unix socket. Safe to share: calls from many tasks are pipelined
/// on one connection.
///
/// A call returns the typed reply, or throws `ClientError`. After a lost connection it reconnects by itself; a request whose outcome is
/// unknown is sent again with the **same request id**, so it never acts twice.
public actor AuthClient {
    private let path: String
    private let options: ClientOptions
    private let group: any EventLoopGroup
    private var connection: ClientConnection?
    private var connecting: Task<ClientConnection, any Error>?
    private var isClosed = false
    private var engineBase: (engineMs: UInt64, at: ContinuousClock.Instant)?
    private let pushes = PushHub()

    /// What Hello said on the newest connection.
    public private(set) var server: Hello.Reply?

    /// Nothing is connected before the first call, or `connect`.
    public init(path: String, options: ClientOptions = ClientOptions(), group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) {
        self.path = path
        self.options = options
        self.group = group
    }

    /// Connects and says Hello; later calls reconnect by themselves.
    public func connect() async throws { _ = try await connected() }

    /// No new calls; those in flight are waited for; the connection is closed.
    public func close() async {
        isClosed = true
        pushes.finish()
        await connection?.close()
        connection = nil
    }

    // MARK: operations

    /// Round trip and engine time.
    public func ping(_ token: UInt64 = 1) async throws -> Ping.Reply {
        var message = Ping()
        message.token = token
        return try await call(message)
    }

    /// Asks for a code. The request id is set here unless it is given.
    public func requestCode(_ message: RequestCode) async throws -> ChallengeReply {
        var message = message
        if message.requestID == .zero { message.requestID = try await newRequestID() }
        return try await call(message)
    }

    /// One more message of an open challenge.
    public func resend(_ message: Resend) async throws -> ChallengeReply {
        var message = message
        if message.requestID == .zero { message.requestID = try await newRequestID() }
        return try await call(message)
    }

    /// Offers what the shopper typed.
    public func verify(_ message: Verify) async throws -> Verify.Reply {
        var message = message
        if message.requestID == .zero { message.requestID = try await newRequestID() }
        return try await call(message)
    }

    /// Closes an open challenge.
    public func cancel(_ message: Cancel) async throws {
        var message = message
        if message.requestID == .zero { message.requestID = try await newRequestID() }
        _ = try await call(message)
    }

    /// How a challenge stands.
    public func status(_ message: StatusRequest) async throws -> StatusRequest.Reply { try await call(message) }

    /// What would refuse a RequestCode now?
    public func quota(_ message: Quota) async throws -> Quota.Reply { try await call(message) }

    /// Whether a grant is good, without spending it.
    public func checkGrant(_ message: CheckGrant) async throws -> GrantReply { try await call(message) }

    /// Spends a grant.
    public func redeemGrant(_ message: RedeemGrant) async throws -> GrantReply {
        var message = message
        if message.requestID == .zero { message.requestID = try await newRequestID() }
        return try await call(message)
    }

    /// Counters and gauges, `name value` a line.
    public func stats() async throws -> String { try await call(Stats()).lines.text }

    /// Asks the server to stop in good order.
    public func drain() async throws { _ = try await exchangeOnce(Drain()) }

    /// Events from `start` on; acknowledged, and so credited, as they are consumed.
    public func events(from start: Subscribe.Start, cursor: Cursor = .zero) async throws -> AsyncStream<EventPush> {
        let (stream, continuation) = AsyncStream.makeStream(of: EventPush.self, bufferingPolicy: .unbounded)
        pushes.events.withLock { $0 = continuation }
        var message = Subscribe()
        message.start = start.rawValue
        message.cursor = cursor
        message.credit = 256
        _ = try await call(message)
        return stream
    }

    /// Tells the server that events up to `cursor` are handled: credit for `count` more.
    public func acknowledge(_ cursor: Cursor, count: UInt16) async throws {
        var message = Acknowledge()
        message.cursor = cursor
        message.credit = count
        _ = try await call(message)
    }

    /// Messages to deliver, for a courier.
    public func messages(credit: UInt16) async throws -> AsyncStream<MessagePush> {
        let (stream, continuation) = AsyncStream.makeStream(of: MessagePush.self)
        pushes.messages.withLock { $0 = continuation }
        var message = LeaseMessages()
        message.credit = credit
        _ = try await call(message)
        return stream
    }

    /// A courier's word on a leased message.
    public func report(_ message: ReportMessage) async throws { _ = try await call(message) }

    /// 6 bytes of engine time, 10 random ones.
    public func newRequestID() async throws -> Bytes16 {
        if engineBase == nil { try await connect() }
        guard let base = engineBase else { throw ClientError.notConnected("no Hello yet") }
        let passed = (ContinuousClock.now - base.at).components
        let ms = base.engineMs + UInt64(passed.seconds) * 1_000 + UInt64(passed.attoseconds / 1_000_000_000_000_000)
        var generator = SystemRandomNumberGenerator()
        return Bytes16(timeMs: ms, tailHigh: generator.next(), tailLow: generator.next())
    }

    // MARK: calls

    /// Any request: retried with the same bytes while its outcome is unknown and time is left.
    public func call<M: RequestMessage>(_ message: M) async throws -> M.Reply {
        let end = ContinuousClock.now + options.deadline
        var attempt = 0
        while true {
            do {
                return try await exchangeOnce(message, until: end)
            } catch let error as ClientError {
                guard isRetryable(error), attempt < options.maxRetries, ContinuousClock.now < end else { throw error }
            }
            attempt += 1
            try await Task.sleep(for: pause(attempt))
        }
    }

    private func isRetryable(_ error: ClientError) -> Bool {
        switch error {
        case .unknownOutcome, .notConnected: true
        case .refused(let refusal): refusal.status == .unknown
        case .goodbye, .protocolViolation, .closed: false
        }
    }

    private func pause(_ attempt: Int) -> Duration {
        let full = min(options.backOff * (1 << min(attempt - 1, 10)), options.maxBackOff)
        return full * Double.random(in: 0.5...1)
    }

    private func exchangeOnce<M: RequestMessage>(
        _ message: M, until end: ContinuousClock.Instant? = nil
    ) async throws -> M.Reply {
        let connection = try await connected()
        let left = (end ?? ContinuousClock.now + options.deadline) - ContinuousClock.now
        let body = try await connection.exchange(message, timeout: left)
        return try ClientStateMachine.decode(M.Reply.self, body).get()
    }

    private func connected() async throws -> ClientConnection {
        guard !isClosed else { throw ClientError.closed }
        if let connection, connection.isActive { return connection }
        if let connecting { return try await connecting.value }
        let task = Task { try await self.dial() }
        connecting = task
        defer { connecting = nil }
        return try await task.value
    }

    private func dial() async throws -> ClientConnection {
        let fresh: ClientConnection
        do {
            fresh = try await ClientConnection.connect(path: path, group: group) { [pushes] push in
                pushes.yield(push)
            }
        } catch { throw ClientError.notConnected("\(path): \(error)") }
        var hello = Hello()
        hello.tenant = options.tenant
        hello.roles = options.roles.rawValue
        hello.client = InlineBytes(options.name.utf8.prefix(64))
        let body = try await fresh.exchange(hello, timeout: options.deadline)
        let reply = try ClientStateMachine.decode(Hello.Reply.self, body).get()
        engineBase = (reply.engineTimeMs, ContinuousClock.now)
        server = reply
        connection = fresh
        return fresh
    }
}

/// Where pushes go, in the order in which they came.
final class PushHub: Sendable {
    let events = Mutex<AsyncStream<EventPush>.Continuation?>(nil)
    let messages = Mutex<AsyncStream<MessagePush>.Continuation?>(nil)

    func yield(_ push: ClientConnection.Push) {
        switch push {
        case .event(let event): events.withLock { _ = $0?.yield(event) }
        case .message(let message): messages.withLock { _ = $0?.yield(message) }
        }
    }

    func finish() {
        events.withLock { $0?.finish() }
        messages.withLock { $0?.finish() }
    }
}
