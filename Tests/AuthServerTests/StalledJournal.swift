import Foundation
import Glibc
import Synchronization

/// Stops the journal's thread of the server that was started last in this process: a sync that takes as long as a test wants.
///
/// A signal's handler runs on that very thread and waits; a write that is handed over meanwhile isn't even begun. SIGPROF, as
/// Dispatch, on whose threads tests run, blocks the user signals for all that its threads start.
final class StalledJournal {
    private static let isStalled = Atomic(false)
    private static let isReached = Atomic(false)

    init() throws {
        StalledJournal.isReached.store(false, ordering: .relaxed)
        StalledJournal.isStalled.store(true, ordering: .releasing)
        signal(SIGPROF) { _ in
            StalledJournal.isReached.store(true, ordering: .releasing)
            while StalledJournal.isStalled.load(ordering: .acquiring) { usleep(500) }
        }
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").compactMap {
            Int32($0)
        }
        let journals = threads.filter { thread in
            (try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8))
                == "otpd-journal\n"
        }
        guard let thread = journals.max() else {
            throw TestError("no journal thread: is the commit overlapped?")
        }
        // Glibc's overlay leaves it out.
        typealias ThreadKill = @convention(c) (pid_t, pid_t, Int32) -> Int32
        guard let symbol = dlsym(nil, "tgkill") else { throw TestError("no tgkill") }
        guard unsafeBitCast(symbol, to: ThreadKill.self)(getpid(), thread, SIGPROF) == 0 else {
            throw TestError("tgkill")
        }
        guard eventually({ StalledJournal.isReached.load(ordering: .acquiring) }) else {
            throw TestError("no stall")
        }
    }

    func end() { StalledJournal.isStalled.store(false, ordering: .releasing) }

    deinit { end() }
}
