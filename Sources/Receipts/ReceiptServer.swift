import CLinuxShim
import Glibc
import HTTPGateway
import NIOCore
import NIOHTTP1
import NIOPosix

/// HTTP/1.1 for the shop's proxy: bounded requests in, short answers out. One thread.
package final class ReceiptServer: Sendable {
    /// Bytes of a body: a batch of a hundred Infobip reports has some 50 KB.
    static let maxBody = 256 << 10
    /// Bytes from one request's end to the next one's: the decoder knows no bound for headers.
    static let maxRequest = maxBody + 64 << 10
    /// Connections at once; beyond it one that waits is closed (`ReceiptPlaces`). A proxy keeps a few.
    static let maxConnections = 256
    /// From a connection's begin, or its last answer, to the end of the next request.
    static let requestTime = TimeAmount.seconds(20)

    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let places: ReceiptPlaces

    private init(_ channel: any Channel, _ group: MultiThreadedEventLoopGroup, _ places: ReceiptPlaces) {
        self.channel = channel
        self.group = group
        self.places = places
    }

    /// Listens; throws `IOError`. A stale Unix socket is replaced.
    package static func start(_ place: ReceiptsConfig.Place, _ desk: ReceiptDesk) async throws -> ReceiptServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let places = ReceiptPlaces(maxConnections)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                source(of: channel, place).flatMapThrowing { source in
                    guard places.take(channel, from: source) else { throw ChannelError.ioOnClosedChannel }
                    let bound = InputBound()
                    try channel.pipeline.syncOperations.addHandler(bound)
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(RequestHandler(desk, places, bound))
                }
            }
        do {
            let channel: any Channel
            switch place {
            case .tcp(let host, let port): channel = try await bootstrap.bind(host: host, port: port).get()
            case .unix(let path): channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            }
            return ReceiptServer(channel, group, places)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// SO_PEERCRED's.
    private struct Credentials {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
    }

    private static func source(
        of channel: any Channel, _ place: ReceiptsConfig.Place
    ) -> EventLoopFuture<ReceiptPlaces.Source> {
        guard case .unix = place, let socket = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(.address(channel.remoteAddress?.ipAddress ?? ""))
        }
        let asked: EventLoopFuture<Credentials> = socket.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERCRED))
        return asked.map { .user($0.uid) }
    }

    /// The port, when it listens on one.
    package var port: Int? { channel.localAddress?.port }

    /// No new connections; requests that are being answered are answered, for `seconds` at most.
    package func stop(seconds: Int = 5) async {
        try? await channel.close()
        for _ in 0..<seconds * 20 where places.isAnswering { try? await Task.sleep(for: .milliseconds(50)) }
        try? await group.shutdownGracefully()
    }
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
    private let places: ReceiptPlaces
    private let bound: InputBound
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLong = false
    private var deadline: Scheduled<Void>?

    init(_ desk: ReceiptDesk, _ places: ReceiptPlaces, _ bound: InputBound) {
        self.desk = desk
        self.places = places
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
        places.beginAnswer(context.channel)
        let future = context.eventLoop.makeFutureWithTask { [desk] in
            await desk.answer(call, path: String(parts[0]), unixSeconds: linux_realtime_nanos() / 1_000_000_000)
        }
        let isKeepAlive = head.isKeepAlive
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        future.whenSuccess { answer in
            let (handler, context) = loopBound.value
            handler.places.endAnswer(context.channel)
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
