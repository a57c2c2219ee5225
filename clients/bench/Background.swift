import Glibc
import Synchronization

/// Work that is repeated on a thread of its own, so that what it takes isn't held against what is measured.
final class Background: @unchecked Sendable {  // `stop` joins the thread before it looks at `failure`
    private let everyMicros: UInt32
    private let work: () throws -> Void
    private let isStopping = Atomic<Bool>(false)
    private var thread = pthread_t()
    private var failure: (any Error)?

    /// Repeats `work` until `stop` or until it throws, with pauses of `everyMs` milliseconds.
    init(everyMs: UInt32, _ work: @escaping () throws -> Void) throws {
        everyMicros = everyMs * 1_000
        self.work = work
        thread = try startThread { self.run() }
    }

    private func run() {
        while !isStopping.load(ordering: .relaxed), failure == nil {
            do { try work() } catch { failure = error }
            usleep(everyMicros)
        }
    }

    /// Waits for the thread's end; throws what the work threw.
    func stop() throws {
        isStopping.store(true, ordering: .relaxed)
        pthread_join(thread, nil)
        if let failure { throw failure }
    }
}
