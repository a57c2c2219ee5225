import NIOCore

/// Stands before a listener's accepts: pauses them while descriptors are short, and after an accept that failed. The connections meanwhile
/// wait in the kernel's backlog.
///
/// It turns `autoRead` off, because holding back `read` isn't enough: after an accept that failed NIO still has a read pending, stays
/// registered for a listener that is readable for ever, and the loop spins (its own AcceptBackoffHandler doesn't stop that).
final class AcceptGate: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let batch: Batch
    private var isPaused = false

    init(batch: Batch) { self.batch = batch }

    func channelReadComplete(context: ChannelHandlerContext) {
        if batch.hasNoDescriptors { pause(context) }
        context.fireChannelReadComplete()
    }

    /// EMFILE, ENFILE, ENOBUFS, ENOMEM: NIO keeps the listener open for these, and so do we. Other errors close it there.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { pause(context) }

    private func pause(_ context: ChannelHandlerContext) {
        guard !isPaused else { return }
        isPaused = true
        batch.counters.acceptPauses += 1
        _ = context.channel.setOption(.autoRead, value: false)
        wait(context)
    }

    private func wait(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(Bounds.acceptPauseMs)) {
            let (gate, context) = bound.value
            guard !gate.batch.hasNoDescriptors else { return gate.wait(context) }
            gate.isPaused = false
            _ = context.channel.setOption(.autoRead, value: true)
        }
    }
}
