import Glibc
public import NIOCore
public import NIOPosix
public import Wire

/// otpd's client: asks for codes, verifies them, redeems grants, over one Unix socket. Safe to share: calls
/// from many tasks are pipelined on one connection.
///
/// A call returns the typed reply, or throws `ClientError` (`CancellationError` if its task is cancelled).
/// After a lost connection the client reconnects by itself; a request whose outcome is unknown is sent again
/// with the **same request id**, so it never acts twice.
public actor AuthClient {
    let options: ClientOptions
    let environment: ClientEnvironment
    let flows = PushFlows()
    var engineTime: EngineTime?
    private let path: String
    private let group: any EventLoopGroup
    private var connection: ClientConnection?
    private var dialing: EventLoopFuture<ClientConnection>?
    private var isClosed = false
    /// When the newest connection was opened, and how often in a row one was lost soon after.
    private var openedAt: ContinuousClock.Instant?
    private var quickLosses = 0
    private var isResuming = false

    /// What Hello said on the newest connection.
    public private(set) var server: Hello.Reply?

    /// Nothing is connected before the first call, or `connect`.
    public init(
        path: String, options: ClientOptions = ClientOptions(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.init(path: path, options: options, group: group, environment: ClientEnvironment())
    }

    init(path: String, options: ClientOptions, group: any EventLoopGroup, environment: ClientEnvironment) {
        self.path = path
        self.options = options.bounded
        self.group = group
        self.environment = environment
    }

    deinit { connection?.abandon() }

    /// Connects and says Hello; later calls reconnect by themselves.
    public func connect() async throws { try await attempting { _, _ in } }

    /// No new calls; those in flight are waited for; the connection is closed, streams end.
    public func close() async {
        isClosed = true
        flows.finish()
        await connection?.close()
        connection = nil
    }

    // MARK: tries

    /// Runs `body` on a connection; again, on a new one if need be, while `CallAttempts` says so and time is
    /// left.
    func attempting<R: Sendable>(
        maxRetries: Int? = nil, _ body: (ClientConnection, ContinuousClock.Instant) async throws -> R
    ) async throws -> R {
        let end = environment.now() + options.deadline
        var attempts = CallAttempts(maxRetries: maxRetries ?? options.maxRetries, wasConnected: server != nil)
        while true {
            do {
                return try await body(try await connected(until: end), end)
            } catch let error as ClientError {
                guard case .again(let step) = attempts.after(error) else { throw attempts.final(error) }
                let pause = CallAttempts.pause(step: step, options: options, jitter: environment.jitter())
                guard environment.now() + pause < end else { throw attempts.final(error) }
                try await environment.sleep(pause)
            }
        }
    }

    /// One request on one connection.
    func exchange<M: RequestMessage>(
        _ message: M, on connection: ClientConnection, until end: ContinuousClock.Instant
    ) async throws -> M.Reply {
        let body = try await connection.exchange(message, timeout: try timeLeft(until: end))
        return try ClientStateMachine.decode(M.Reply.self, body).get()
    }

    private func timeLeft(until end: ContinuousClock.Instant) throws -> TimeAmount {
        let left = (end - environment.now()).components
        let nanos = left.seconds * 1_000_000_000 + left.attoseconds / 1_000_000_000
        guard nanos > 0 else {
            throw ClientError.notConnected("the deadline passed before anything was sent")
        }
        return .nanoseconds(nanos)
    }

    // MARK: the connection

    func connected(until end: ContinuousClock.Instant) async throws -> ClientConnection {
        guard !isClosed else { throw ClientError.closed }
        if let connection, connection.isActive { return connection }
        // Throws, so it stands before the promise: a promise that nobody keeps is a crash in debug.
        let timeout = try timeLeft(until: end)
        let future = dialing ?? startDialing(until: end)
        // Each caller has its own deadline and its own cancellation, whoever began the dialing.
        let loop = future.eventLoop
        let promise = loop.makePromise(of: ClientConnection.self)
        let timer = loop.scheduleTask(in: timeout) { [path] in
            promise.fail(ClientError.notConnected("\(path): no connection in time"))
        }
        future.whenComplete { result in
            timer.cancel()
            promise.completeWith(result)
        }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
        }
    }

    private func startDialing(until end: ContinuousClock.Instant) -> EventLoopFuture<ClientConnection> {
        let promise = group.next().makePromise(of: ClientConnection.self)
        dialing = promise.futureResult
        Task {
            do {
                let fresh = try await dial(until: end)
                promise.succeed(fresh)
            } catch { promise.fail(error) }
        }
        return promise.futureResult
    }

    private func dial(until end: ContinuousClock.Instant) async throws -> ClientConnection {
        defer { dialing = nil }
        // Connecting takes no time of its own: it succeeds or fails at once.
        _ = try timeLeft(until: end)
        let fresh: ClientConnection
        do {
            fresh = try await ClientConnection.connect(
                path: path, group: group, serverUsers: options.serverUsers, onPush: { [flows] in flows.yield($0) },
                onEnd: { [weak self] in Task { await self?.connectionEnded() } })
        } catch let error as IOError {
            let hint =
                error.errnoCode == EACCES
                ? "; this user must be a member of the `group` of otpd's `[[listener]]`, and be started again" : ""
            throw ClientError.notConnected("\(path): \(String(cString: strerror(error.errnoCode)))\(hint)")
        } catch let error as ClientError {
            throw error
        } catch SocketAddressError.unixDomainSocketPathTooLong {
            throw ClientError.notConnected("\(path): the path has \(path.utf8.count) bytes; the kernel allows 107")
        } catch { throw ClientError.notConnected("\(path): \(error)") }
        do {
            try await open(fresh, until: end)
        } catch {
            fresh.abandon()
            throw error
        }
        return fresh
    }

    private func open(_ fresh: ClientConnection, until end: ContinuousClock.Instant) async throws {
        var hello = Hello()
        hello.tenant = options.tenant
        hello.roles = options.roles.rawValue
        hello.client = InlineBytes(options.name.utf8.prefix(64))
        let reply: Hello.Reply
        do {
            reply = try await exchange(hello, on: fresh, until: end)
        } catch ClientError.unknownOutcome(let why) {
            // No request of a caller was sent.
            throw ClientError.notConnected("\(path): Hello: \(why)")
        }
        fresh.opened(maxInFlight: Int(reply.maxInFlight))
        try await resumeFlows(on: fresh, until: end)
        guard !isClosed else { throw ClientError.closed }
        // From here on its end is noticed by `connectionEnded`.
        guard fresh.isActive else { throw ClientError.notConnected("\(path): lost right after Hello") }
        engineTime = EngineTime(ms: reply.engineTimeMs, at: environment.now())
        server = reply
        connection = fresh
        openedAt = environment.now()
    }

    // MARK: flows of pushes

    /// A flow needs a connection even when nobody calls. Before the first connection is open, the call that
    /// begins the flow sees to it.
    private func connectionEnded() {
        guard !isResuming, openedAt != nil, flowsNeedConnection else { return }
        isResuming = true
        Task { [weak self] in await self?.reconnectForFlows() }
    }

    private var flowsNeedConnection: Bool { !isClosed && flows.areActive && connection?.isActive != true }

    /// Until it succeeds, the flows end, or the server says that it is no use. A connection that is lost
    /// again while this runs is this loop's too: its end finds `isResuming` set.
    private func reconnectForFlows() async {
        defer { isResuming = false }
        if let openedAt, environment.now() - openedAt > options.maxBackOff { quickLosses = 0 }
        while flowsNeedConnection {
            quickLosses += 1
            do {
                try await environment.sleep(
                    CallAttempts.pause(step: quickLosses, options: options, jitter: environment.jitter()))
                guard flowsNeedConnection else { return }
                _ = try await connected(until: environment.now() + options.deadline)
            } catch let error as ClientError where CallAttempts.isTemporary(error) {
                continue
            } catch {
                flows.finish(error as? ClientError)
            }
        }
    }
}
