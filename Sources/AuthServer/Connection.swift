package import NIOCore
import Wire

/// One peer: its bytes in, its bytes out, and what it may do. It decides nothing: `Batch` does, once a turn.
package final class Connection: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    let batch: Batch
    let listener: ListenerRule
    let uid: UInt32
    var authority: Authority?
    /// Set by LeaseMessages: pushes that this courier will still take.
    var courierCredit: UInt16 = 0
    var leaseMs = Bounds.leaseMs
    /// Set by Subscribe.
    var subscription: EventFeed.Subscription?

    /// Undecided input.
    var input = ByteBuffer()
    /// Replies that may leave at the end of the turn.
    private var ready = ByteBuffer()
    /// Replies and pushes that wait for the sync of the batch under way: at most one is unsynced, so one buffer is enough.
    private var held = ByteBuffer()
    private var context: ChannelHandlerContext?
    /// For Hello, later for the peer to read its Goodbye.
    private var deadline: Scheduled<Void>?
    private(set) var isClosing = false
    /// Waits in the batch's list for its turn.
    var isQueued = false
    /// Its index among the batch's connections.
    var place = -1

    package init(batch: Batch, listener: ListenerRule, uid: UInt32) {
        self.batch = batch
        self.listener = listener
        self.uid = uid
    }

    // MARK: NIO's calls

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func channelActive(context: ChannelHandlerContext) {
        guard batch.add(self) else {
            return close(Goodbye(.tooManyConnections, "too many connections; close some, or raise max_connections"))
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: .milliseconds(batch.settings.helloMillis)) {
            bound.value.helloTimedOut()
        }
    }

    /// Only appends: the turn's commit task decides.
    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        guard input.readableBytes <= Bounds.maxInputBytes else {
            return close(Goodbye(.inputOverflow, "more than 64 KiB of requests without reading replies"))
        }
        batch.enqueue(self)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { batch.enqueue(self) }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        deadline?.cancel()
        batch.remove(self)
        self.context = nil
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isClosing = true
        context.close(promise: nil)
    }

    private func helloTimedOut() {
        if authority == nil, !isClosing { close(Goodbye(.helloTimeout, "no Hello within \(batch.settings.helloMillis) ms")) }
    }

    // MARK: the batch's calls

    /// Output is being read: decisions go on.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    func helloDone() {
        deadline?.cancel()
        deadline = nil
    }

    /// Adds a frame that `encode` writes; `isHeld`: it waits for the sync.
    func send(isHeld: Bool, _ encode: (UnsafeMutableRawBufferPointer) throws -> Int) {
        func append(_ buffer: inout ByteBuffer) {
            do {
                try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: FrameLimits.maxFrameBytes, encode)
            } catch {
                preconditionFailure("a reply of our own doesn't fit a frame: \(error)")
            }
        }
        guard isHeld else { return append(&ready) }
        if held.readableBytes == 0 { batch.holding.append(self) }
        append(&held)
    }

    /// The sync is done: what was held may leave.
    func release() {
        if held.readableBytes > 0 {
            ready.writeBuffer(&held)
            held.clear()
        }
    }

    /// Hands the ready bytes to the channel. NIO may call back in here: the buffer is moved out first.
    func flush() {
        guard ready.readableBytes > 0, let context else { return }
        let bytes = ready
        ready = ByteBuffer()
        guard isClosing, held.readableBytes == 0 else {
            return context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    /// Says why as the last frame, then closes. Held replies of the batch under way go first. A peer that doesn't read its
    /// Goodbye is cut off.
    func close(_ goodbye: Goodbye) {
        guard !isClosing, let context else { return }
        isClosing = true
        _ = context.channel.setOption(.autoRead, value: false)
        deadline?.cancel()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: .seconds(Bounds.goodbyeSeconds)) {
            bound.value.context?.close(promise: nil)
        }
        send(isHeld: held.readableBytes > 0) { try FieldEncoder.push(goodbye, into: $0) }
        flush()
    }
}
