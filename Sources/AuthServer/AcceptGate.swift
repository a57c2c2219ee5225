import NIOCore

/// Stands before a listener's accepts: pauses them while descriptors are short, and after an accept that failed. Without it the loop would
/// spin on a listener that is readable and can't be accepted from; the connections meanwhile wait in the kernel's backlog.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private let batch: Batch
    private var isPaused = false
    /// NIO asked to read while accepts paused.
    private var isWanted = false

    init(batch: Batch) { self.batch = batch }

    func read(context: ChannelHandlerContext) {
        if !isPaused, batch.hasNoDescriptors { pause(context) }
        guard !isPaused else {
            isWanted = true
            return
        }
        context.read()
    }

    /// EMFILE, ENFILE, ENOBUFS, ENOMEM: NIO keeps the listener open for these, and so do we. Other errors close it there.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { pause(context) }

    private func pause(_ context: ChannelHandlerContext) {
        batch.counters.acceptPauses += 1
        guard !isPaused else { return }
        isPaused = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(Bounds.acceptPauseMs)) {
            let (gate, context) = bound.value
            gate.isPaused = false
            guard gate.isWanted else { return }
            gate.isWanted = false
            gate.read(context: context)
        }
    }
}
