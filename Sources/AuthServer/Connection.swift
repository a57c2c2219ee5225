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
    private(set) var isClosing = false
    /// Waits in the batch's list for its turn.
    var isQueued = false
    /// Waits for the sync under way, or for room.
    var isStalled = false
    /// Its index among the batch's connections.
    var place = -1

    /// `Lineup`'s: the place among those who wait for Hello, or for the peer to read its Goodbye.
    var isLinedUp = false
    var linedUpMs: UInt64 = 0
    var next: Connection?
    weak var previous: Connection?

    /// The peer clock's milliseconds since when the input begins with a part of a frame; 0 = it doesn't. More bytes of it don't change that.
    var frameSinceMs: UInt64 = 0
    /// The peer clock's milliseconds since when output waits for the peer, and what it had taken by then; 0 = nothing waits.
    private var unreadSinceMs: UInt64 = 0
    private var takenThen = 0
    /// Bytes handed to the channel so far, and how many of them the peer is known to have taken.
    private var flushed = 0
    private var settled = 0

    package init(batch: Batch, listener: ListenerRule, uid: UInt32) {
        self.batch = batch
        self.listener = listener
        self.uid = uid
    }

    // MARK: NIO's calls

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        batch.openChannels += 1
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        batch.openChannels -= 1
        self.context = nil
    }

    package func channelActive(context: ChannelHandlerContext) {
        if let refusal = batch.add(self) { close(refusal) }
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
        batch.remove(self)
        isClosing = true
        self.context = nil
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: the batch's calls

    /// Output is being read: decisions go on.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    /// As much is ready as may wait unread: the rest is decided in another turn.
    var isFull: Bool { ready.readableBytes >= Bounds.maxOutputBytes }

    func hasHalfAFrame(now: UInt64) {
        if frameSinceMs == 0 { frameSinceMs = now }
    }

    /// Ends the connection of a peer that dribbles a frame, or leaves its replies unread: less than the bound in the time isn't reading.
    func checkPace(now: UInt64) {
        guard !isClosing, let context else { return }
        if frameSinceMs != 0, now >= frameSinceMs + batch.settings.frameMillis {
            return close(Goodbye(.frameTimeout, "a frame wasn't whole within \(batch.settings.frameMillis) ms"))
        }
        guard flushed > settled else { return }
        let pending = unsentBytes(context.channel)
        let taken = flushed - pending
        if pending == 0 {
            settled = flushed
            unreadSinceMs = 0
        } else if unreadSinceMs == 0 || taken - takenThen >= Bounds.maxOutputBytes {
            unreadSinceMs = now
            takenThen = taken
        } else if now >= unreadSinceMs + batch.settings.unreadMillis {
            close(Goodbye(.outputOverflow, "replies were left unread for \(batch.settings.unreadMillis) ms"))
        }
    }

    private func unsentBytes(_ channel: any Channel) -> Int {
        do { return try channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 } catch { return 0 }
    }

    /// No more waiting for the peer to read its Goodbye.
    func cut() { context?.close(promise: nil) }

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
        // To its size: a small reply stands in a buffer for the largest, and what a peer leaves unread would hold many of those.
        var bytes = context.channel.allocator.buffer(capacity: ready.readableBytes)
        bytes.writeImmutableBuffer(ready)
        ready = ByteBuffer()
        flushed += bytes.readableBytes
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
        batch.farewell(self)
        isClosing = true
        _ = context.channel.setOption(.autoRead, value: false)
        send(isHeld: held.readableBytes > 0) { try FieldEncoder.push(goodbye, into: $0) }
        flush()
    }
}
