import CLinuxShim
import HTTPGateway
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

/// HTTP/1.1 for the shop's proxy: bounded requests in, short answers out. One thread.
package final class ReceiptServer: Sendable {
    /// Bytes of a body: a batch of a hundred Infobip reports has some 50 KB.
    static let maxBody = 256 << 10
    /// Bytes from one request's end to the next one's: the decoder knows no bound for headers.
    static let maxRequest = maxBody + 64 << 10
    /// Connections at once; beyond it the newest is closed. A proxy keeps a few.
    static let maxConnections = 256
    /// From a connection's begin, or its last answer, to the end of the next request.
    static let requestTime = TimeAmount.seconds(20)

    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let connections: Connections

    private init(_ channel: any Channel, _ group: MultiThreadedEventLoopGroup, _ connections: Connections) {
        self.channel = channel
        self.group = group
        self.connections = connections
    }

    /// Listens; throws `IOError`. A stale Unix socket is replaced.
    package static func start(_ place: ReceiptsConfig.Place, _ desk: ReceiptDesk) async throws -> ReceiptServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connections = Connections()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.add(channel) else { throw ChannelError.ioOnClosedChannel }
                    let bound = InputBound()
                    try channel.pipeline.syncOperations.addHandler(bound)
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(RequestHandler(desk, connections, bound))
                }
            }
        do {
            let channel: any Channel
            switch place {
            case .tcp(let host, let port): channel = try await bootstrap.bind(host: host, port: port).get()
            case .unix(let path): channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            }
            return ReceiptServer(channel, group, connections)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// The port, when it listens on one.
    package var port: Int? { channel.localAddress?.port }

    /// No new connections; requests that are being answered are answered, for `seconds` at most.
    package func stop(seconds: Int = 5) async {
        try? await channel.close()
        for _ in 0..<seconds * 20 where connections.isAnswering { try? await Task.sleep(for: .milliseconds(50)) }
        try? await group.shutdownGracefully()
    }
}

/// Who is connected. All on the one loop, but for the stop's look.
private final class Connections: Sendable {
    private let count = Counter()
    private let answering = Counter()

    /// `false` = too many.
    func add(_ channel: any Channel) -> Bool {
        guard count.value < ReceiptServer.maxConnections else { return false }
        count.add(1)
        channel.closeFuture.whenComplete { [count] _ in count.add(-1) }
        return true
    }

    func answers(_ change: Int) { answering.add(change) }
    var isAnswering: Bool { answering.value > 0 }
}

private final class Counter: Sendable {
    private let box = NIOLockedValueBox(0)
    var value: Int { box.withLockedValue { $0 } }
    func add(_ change: Int) { box.withLockedValue { $0 += change } }
}

/// Counts what comes; a request without an end is closed.
private final class InputBound: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var count = 0

    /// A request has come whole.
    func reset() { count = 0 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += unwrapInboundIn(data).readableBytes
        if count > ReceiptServer.maxRequest { context.close(promise: nil) } else { context.fireChannelRead(data) }
    }
}

/// One connection: a request, its answer, the next.
private final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let desk: ReceiptDesk
    private let connections: Connections
    private let bound: InputBound
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLong = false
    private var deadline: Scheduled<Void>?

    init(_ desk: ReceiptDesk, _ connections: Connections, _ bound: InputBound) {
        self.desk = desk
        self.connections = connections
        self.bound = bound
    }

    func channelActive(context: ChannelHandlerContext) { expectRequest(context) }
    func channelInactive(context: ChannelHandlerContext) { deadline?.cancel() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func expectRequest(_ context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: ReceiptServer.requestTime) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            (body, isTooLong) = ([], false)
        case .body(let bytes):
            // What is too long is read to its end, so that the answer isn't lost in a reset.
            if body.count + bytes.readableBytes > ReceiptServer.maxBody { isTooLong = true } else if !isTooLong { body += bytes.readableBytesView }
        case .end:
            deadline?.cancel()
            bound.reset()
            guard let head else { return }
            if isTooLong { write(.init(status: 413, text: "too long"), head.isKeepAlive, context) } else { answer(head, context) }
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let call = ReceiptCall(
            method: head.method.rawValue, query: parts.count > 1 ? String(parts[1]) : "", headers: head.headers.map { ($0.name, $0.value) }, body: body)
        body = []
        connections.answers(1)
        let future = context.eventLoop.makeFutureWithTask { [desk] in
            await desk.answer(call, path: String(parts[0]), unixSeconds: linux_realtime_nanos() / 1_000_000_000)
        }
        let isKeepAlive = head.isKeepAlive
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        future.whenSuccess { answer in
            let (handler, context) = loopBound.value
            handler.connections.answers(-1)
            handler.write(answer, isKeepAlive, context)
        }
    }

    private func write(_ answer: ReceiptDesk.Answer, _ isKeepAlive: Bool, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let text = answer.text + "\n"
        let headers: HTTPHeaders = [
            "Content-Type": "text/plain", "Content-Length": "\(text.utf8.count)", "Connection": isKeepAlive ? "keep-alive" : "close",
        ]
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
        let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if isKeepAlive { expectRequest(context) } else { end.whenComplete { [channel = context.channel] _ in channel.close(promise: nil) } }
    }
}
