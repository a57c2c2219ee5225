import NIOCore
import NIOPosix
import Wire

/// One connection: requests are pipelined, replies may overtake one another. Everything mutable belongs to its event loop.
final class ClientConnection: Sendable {
    /// What comes unasked.
    enum Push: Sendable {
        case event(EventPush)
        case message(MessagePush)
    }

    private let channel: any Channel
    private let handler: NIOLoopBound<Handler>

    private init(channel: any Channel, handler: NIOLoopBound<Handler>) {
        self.channel = channel
        self.handler = handler
    }

    static func connect(
        path: String, group: any EventLoopGroup, onPush: @escaping @Sendable (Push) -> Void
    ) async throws -> ClientConnection {
        let loop = group.next()
        let box = loop.submit { NIOLoopBound(Handler(onPush: onPush), eventLoop: loop) }
        let handler = try await box.get()
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(unixDomainSocketPath: path).get()
        return ClientConnection(channel: channel, handler: handler)
    }

    var isActive: Bool { channel.isActive }

    /// The reply's body, status first. Fails with `unknownOutcome` when the connection goes or time is up after the send.
    func exchange<M: RequestMessage>(_ message: M, timeout: Duration) async throws -> [UInt8] {
        let nanos = timeout.components.seconds * 1_000_000_000 + timeout.components.attoseconds / 1_000_000_000
        return try await channel.eventLoop.flatSubmit { [handler, channel] in
            handler.value.send(message, on: channel, timeout: .nanoseconds(max(1_000_000, nanos)))
        }.get()
    }

    /// Waits for what is in flight, then closes.
    func close() async {
        _ = try? await channel.eventLoop.flatSubmit { [handler, channel] in handler.value.idle(on: channel.eventLoop) }.get()
        _ = try? await channel.close().get()
    }

    /// The NIO side; lives on the loop.
    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var machine = ClientStateMachine()
        private var pending: [UInt32: EventLoopPromise<[UInt8]>] = [:]
        private var waiters: [EventLoopPromise<Void>] = []
        private var ending: ClientError?
        private let onPush: @Sendable (Push) -> Void

        init(onPush: @escaping @Sendable (Push) -> Void) { self.onPush = onPush }

        func send<M: RequestMessage>(
            _ message: M, on channel: any Channel, timeout: TimeAmount
        ) -> EventLoopFuture<[UInt8]> {
            let promise = channel.eventLoop.makePromise(of: [UInt8].self)
            if let ending {
                promise.fail(ClientError.notConnected("\(ending)"))
                return promise.futureResult
            }
            switch machine.encode(message) {
            case .failure(let error): promise.fail(ClientError.protocolViolation("\(error)"))
            case .success(let frame):
                pending[frame.correlation] = promise
                channel.writeAndFlush(ByteBuffer(bytes: frame.bytes), promise: nil)
                let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
                let timer = channel.eventLoop.scheduleTask(in: timeout) {
                    bound.value.settle(frame.correlation, .failure(ClientError.unknownOutcome("no reply in time")))
                }
                promise.futureResult.whenComplete { _ in timer.cancel() }
            }
            return promise.futureResult
        }

        func idle(on loop: any EventLoop) -> EventLoopFuture<Void> {
            guard !pending.isEmpty else { return loop.makeSucceededVoidFuture() }
            let promise = loop.makePromise(of: Void.self)
            waiters.append(promise)
            return promise.futureResult
        }

        private func settle(_ correlation: UInt32, _ result: Result<[UInt8], any Error>) {
            pending.removeValue(forKey: correlation)?.completeWith(result)
            guard pending.isEmpty else { return }
            for waiter in waiters { waiter.succeed(()) }
            waiters.removeAll()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for output in machine.receive(unwrapInboundIn(data).readableBytesView) {
                switch output {
                case .reply(let correlation, let body): settle(correlation, .success(body))
                case .event(let event): onPush(.event(event))
                case .message(let message): onPush(.message(message))
                case .goodbye(let goodbye):
                    ending = .goodbye(Goodbye.Reason(rawValue: goodbye.reason), goodbye.text.text)
                case .violation(let why):
                    ending = .protocolViolation(why)
                    context.close(promise: nil)
                }
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            let why = ending ?? .unknownOutcome("the connection was lost")
            ending = why
            let isFatal =
                switch why {
                case .goodbye(.shuttingDown, _), .unknownOutcome: false
                case .goodbye, .refused, .notConnected, .protocolViolation, .closed: true
                }
            for correlation in pending.keys.sorted() {
                settle(correlation, .failure(isFatal ? why : ClientError.unknownOutcome("\(why)")))
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
