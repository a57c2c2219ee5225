import Glibc

/// A load beside the main one, from a thread of its own: replies that the main load's thread is busy with mustn't be held against the latency
/// of these.
final class SideLoad: @unchecked Sendable {  // `finish` joins the thread before it looks at `outcome`
    private let engine: any LoadRunner
    private let stream: LoadStream
    private let timing: Session.Timing
    private var thread = pthread_t()
    private var outcome = Result<[StreamResult], any Error>.success([])

    /// Begins at once; it must not need a courier, because the main load's takes all messages.
    init(_ engine: any LoadRunner, _ stream: LoadStream, _ timing: Session.Timing) throws {
        precondition(!stream.mix.createsMessages, "a load that creates messages has the courier, and comes first")
        self.engine = engine
        self.stream = stream
        self.timing = timing
        thread = try startThread { self.run() }
    }

    private func run() {
        outcome = Result {
            try engine.run(
                [stream], warmUp: timing.warmUp, seconds: timing.seconds, atStart: {}, atEnd: {})
        }
    }

    /// Waits for its end.
    func finish() throws -> StreamResult {
        pthread_join(thread, nil)
        return try outcome.get()[0]
    }
}
