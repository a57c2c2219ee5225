import Courier
import Foundation
import Glibc
import Synchronization

/// A courier's loop on a thread of its own, stopped as the operator stops it: by SIGTERM, sent to that thread
/// alone.
final class RunningCourier: Sendable {
    private struct State {
        var thread: pthread_t?
        var isOver = false
        var failure: String?
    }

    private let state = Mutex(State())
    /// What it said about servers that turned it away.
    let notes = Lines()

    /// `gateway` is made on the courier's thread.
    init<G: Gateway & SendableMetatype>(_ socketPath: String, _ gateway: @escaping @Sendable () throws -> G) {
        Thread { [self] in
            do {
                var loop = try CourierLoop(socketPath: socketPath, gateway: try gateway()) { [notes] in
                    notes.add($0)
                }
                // From here on this thread blocks SIGTERM, and only the loop's descriptor sees it.
                state.withLock { $0.thread = pthread_self() }
                loop.run()
                state.withLock { $0.isOver = true }
            } catch {
                state.withLock {
                    $0.failure = "\(error)"
                    $0.isOver = true
                }
            }
        }.start()
    }

    var hasStarted: Bool { state.withLock { $0.thread != nil } }
    var isOver: Bool { state.withLock { $0.isOver } }
    var failure: String? { state.withLock { $0.failure } }

    /// Sends SIGTERM; returns how long the loop took to end, in seconds, or `nil` if it didn't within 10.
    func stop() -> Double? {
        guard eventually({ state.withLock { $0.isOver || $0.thread != nil } }) else { return nil }
        let start = Date()
        // The thread ends after it took the lock, so its id is valid in here.
        state.withLock { state in
            if let thread = state.thread, !state.isOver { pthread_kill(thread, SIGTERM) }
        }
        return eventually { isOver } ? Date().timeIntervalSince(start) : nil
    }
}
