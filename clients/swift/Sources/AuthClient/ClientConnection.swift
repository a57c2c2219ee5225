import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Wire

/// One connection: requests are pipelined, replies may overtake one another. Everything mutable belongs to
/// its event loop; what to do is `ClientStateMachine`'s to say.
final class ClientConnection: Sendable {
    private let channel: any Channel
    private let handler: NIOLoopBound<Handler>
    private let lastCorrelation = Atomic<UInt32>(0)

    private init(channel: any Channel, handler: NIOLoopBound<Handler>) {
        self.channel = channel
        self.handler = handler
    }

    /// - Parameter onEnd: called once, when the connection has gone.
    static func connect(
        path: String, group: any EventLoopGroup, serverUsers: Set<UInt32>? = nil,
        onPush: @escaping @Sendable (ClientStateMachine.Push) -> Void, onEnd: @escaping @Sendable () -> Void
    ) async throws -> ClientConnection {
        let loop = group.next()
        let handler = try await loop.submit {
            NIOLoopBound(Handler(onPush: onPush, onEnd: onEnd), eventLoop: loop)
        }.get()
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .withConnectedSocket(try ClientSocket.connect(path: path)).get()
        if let serverUsers {
            let user = try await serverUser(channel)
            guard serverUsers.contains(user) else {
                channel.close(promise: nil)
                throw ClientError.invalidRequest(
                    "\(path) is served by uid \(user), whom this client doesn't trust: nothing was sent")
            }
        }
        return ClientConnection(channel: channel, handler: handler)
    }

    /// SO_PEERCRED's, of when the server began to listen.
    private struct Credentials {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
    }

    private static func serverUser(_ channel: any Channel) async throws -> UInt32 {
        guard let socket = channel as? any SocketOptionProvider else { throw ClientError.notConnected("not a socket") }
        let asked: EventLoopFuture<UInt32> = channel.eventLoop.flatSubmit {
            let option: EventLoopFuture<Credentials> = socket.unsafeGetSocketOption(
                level: .socket, name: .init(rawValue: SO_PEERCRED))
            return option.map { $0.uid }
        }
        return try await asked.get()
    }

    var isActive: Bool { channel.isActive }

    /// Hello's reply said how many requests may be without a reply.
    func opened(maxInFlight: Int) {
        channel.eventLoop.execute { [handler] in handler.value.opened(maxInFlight: maxInFlight) }
    }

    /// The reply's body, status first. A cancelled task gets `CancellationError` at once; its request may
    /// have acted if it was sent.
    func exchange<M: RequestMessage>(_ message: M, timeout: TimeAmount) async throws -> [UInt8] {
        // A task that is cancelled already sends nothing.
        try Task.checkCancellation()
        let deadline = NIODeadline.now() + timeout
        let correlation = lastCorrelation.add(1, ordering: .relaxed).newValue
        let promise = channel.eventLoop.makePromise(of: [UInt8].self)
        // Queued before the cancellation handler exists, so a cancellation always finds the call.
        channel.eventLoop.execute { [handler] in
            handler.value.submit(message, correlation: correlation, promise, deadline)
        }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            channel.eventLoop.execute { [handler] in handler.value.giveUp(correlation) }
        }
    }

    /// Waits for what is in flight, then closes.
    func close() async {
        channel.eventLoop.execute { [handler] in handler.value.drain() }
        _ = try? await channel.closeFuture.get()
    }

    /// Closes at once.
    func abandon() { channel.close(promise: nil) }

    /// The NIO side; lives on the loop.
    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private struct Call {
            let promise: EventLoopPromise<[UInt8]>
            let timer: Scheduled<Void>
        }

        private var machine = ClientStateMachine()
        private var calls: [UInt32: Call] = [:]
        private var context: ChannelHandlerContext?
        private var hasEnded = false
        private let onPush: @Sendable (ClientStateMachine.Push) -> Void
        private let onEnd: @Sendable () -> Void

        init(
            onPush: @escaping @Sendable (ClientStateMachine.Push) -> Void,
            onEnd: @escaping @Sendable () -> Void
        ) {
            self.onPush = onPush
            self.onEnd = onEnd
        }

        func opened(maxInFlight: Int) { machine.maxInFlight = max(1, maxInFlight) }

        func submit<M: RequestMessage>(
            _ message: M, correlation: UInt32, _ promise: EventLoopPromise<[UInt8]>,
            _ deadline: NIODeadline
        ) {
            let loop = promise.futureResult.eventLoop
            let bound = NIOLoopBound(self, eventLoop: loop)
            let timer = loop.scheduleTask(deadline: deadline) {
                bound.value.perform(bound.value.machine.expire(correlation))
            }
            calls[correlation] = Call(promise: promise, timer: timer)
            perform(
                machine.submit(
                    message, correlation: correlation, deadline: deadline.uptimeNanoseconds,
                    now: NIODeadline.now().uptimeNanoseconds))
        }

        func giveUp(_ correlation: UInt32) {
            guard calls[correlation] != nil else { return }
            settle(correlation, .failure(CancellationError()))
            perform(machine.giveUp(correlation))
        }

        func drain() { perform(machine.drain()) }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }

        /// A connect that fails ends here, without channelInactive: the context holds this handler.
        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let now = NIODeadline.now().uptimeNanoseconds
            perform(machine.receive(unwrapInboundIn(data).readableBytesView, now: now))
        }

        func channelInactive(context: ChannelHandlerContext) {
            perform(machine.disconnected())
            self.context = nil
            guard !hasEnded else { return }
            hasEnded = true
            onEnd()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func perform(_ actions: [ClientStateMachine.Action]) {
            for action in actions {
                switch action {
                case .write(let bytes): context?.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: nil)
                case .succeed(let correlation, let body): settle(correlation, .success(body))
                case .fail(let correlation, let error): settle(correlation, .failure(error))
                case .push(let push): onPush(push)
                case .close: context?.close(promise: nil)
                }
            }
        }

        private func settle(_ correlation: UInt32, _ result: Result<[UInt8], any Error>) {
            guard let call = calls.removeValue(forKey: correlation) else { return }
            call.timer.cancel()
            call.promise.completeWith(result)
        }
    }
}
