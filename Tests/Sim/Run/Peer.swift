import AuthServer
import NIOCore
import NIOEmbedded
import Wire

/// One connection to the simulated server, seen from the other end: bytes queued, bytes delivered, frames received.
final class Peer {
    enum Kind { case web, narrow, courier, observer, recorder, hostile }

    let kind: Kind
    let tenant: UInt32
    let uid: UInt32
    private let channel: EmbeddedChannel
    /// Bytes on their way to the server.
    private(set) var outgoing: [UInt8] = []
    /// Bytes from the server that aren't whole frames yet.
    private var incoming: [UInt8] = []
    private(set) var isOpen = true
    /// This end gave up: what still comes is lost.
    private(set) var isCut = false
    /// What waits for its reply, by correlation.
    var waiting: [UInt32: Attempt] = [:]
    private var correlation: UInt32 = 0
    /// Of a courier: credit it has given and messages took.
    var credit = 0
    /// Of an observer.
    var stream: ObservedStream?

    init(_ kind: Kind, tenant: UInt32, uid: UInt32, machine: Machine) throws {
        self.kind = kind
        self.tenant = tenant
        self.uid = uid
        guard let server = machine.server else { preconditionFailure("a peer connects to a running server") }
        channel = EmbeddedChannel(loop: machine.loop)
        let tap = OutputTap(machine: machine)
        try channel.pipeline.syncOperations.addHandler(tap)
        try channel.pipeline.syncOperations.addHandler(
            Connection(batch: server, listener: machine.listener, uid: uid))
        tap.peer = self
        channel.connect(to: try SocketAddress(unixDomainSocketPath: "/sim"), promise: nil)
    }

    func nextCorrelation() -> UInt32 {
        correlation += 1
        return correlation
    }

    func queue(_ bytes: [UInt8]) { outgoing += bytes }

    /// The first `count` bytes on their way arrive.
    func deliver(_ count: Int, _ digest: inout Digest) {
        guard isOpen, count > 0, !outgoing.isEmpty else { return }
        let part = outgoing.prefix(count)
        digest.add(part)
        let buffer = ByteBuffer(bytes: part)
        outgoing.removeFirst(part.count)
        do { try channel.writeInbound(buffer) } catch { isOpen = false }
    }

    /// This end closes, or the connection breaks: what is on its way is lost in both directions.
    func cut() {
        isOpen = false
        isCut = true
        outgoing = []
        incoming = []
        waiting = [:]
        channel.close(promise: nil)
    }

    func setReading(_ isReading: Bool) {
        guard channel.isWritable != isReading else { return }
        channel.isWritable = isReading
        channel.pipeline.fireChannelWritabilityChanged()
    }

    func received(_ bytes: ByteBuffer) { incoming += bytes.readableBytesView }
    fileprivate func closedByServer() { isOpen = false }

    /// Whole frames that have come, in order.
    func takeFrames(_ digest: inout Digest, _ body: (Frame) throws -> Void) rethrows {
        guard !incoming.isEmpty else { return }
        let bytes = incoming
        incoming = []
        digest.add(bytes[...])
        var offset = 0
        try bytes.withUnsafeBytes { raw in
            while offset < raw.count {
                let rest = UnsafeRawBufferPointer(rebasing: raw[offset...])
                var next: Frame?
                do { next = try Frame.next(in: rest) } catch {
                    preconditionFailure("the server sent a bad frame: \(error)")
                }
                guard let frame = next else { break }
                offset += frame.totalBytes
                try body(frame)
            }
        }
        if offset < bytes.count { incoming = Array(bytes[offset...]) + incoming }
    }
}

/// Takes the server's output at the moment that it leaves: what a dead machine would still send is dropped.
private final class OutputTap: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    let machine: Machine
    weak var peer: Peer?

    init(machine: Machine) { self.machine = machine }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if machine.isAlive, let peer { machine.arrivals.append((peer, unwrapOutboundIn(data))) }
        promise?.succeed(())
    }

    func flush(context: ChannelHandlerContext) {}

    func channelInactive(context: ChannelHandlerContext) {
        if machine.isAlive { peer?.closedByServer() }
        context.fireChannelInactive()
    }
}
