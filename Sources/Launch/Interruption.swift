import Glibc
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as a wish that a long command looks at between two steps, to end without
/// leaving anything half done.
public enum Interruption {
    private static let signal = Atomic<Int32>(0)

    /// From here on the signals don't end the process.
    public static func watch() {
        // A lazy global isn't made in a signal's handler.
        _ = signal.load(ordering: .relaxed)
        var watched = sigset_t()
        sigemptyset(&watched)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            sigaddset(&watched, number)
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { Interruption.signal.store($0, ordering: .relaxed) }
            action.sa_flags = Int32(SA_RESTART)
            sigaction(number, &action, nil)
        }
        // Whoever started this may have blocked them.
        pthread_sigmask(SIG_UNBLOCK, &watched, nil)
    }

    /// The signal that came; 0 = none.
    public static var number: Int32 { signal.load(ordering: .relaxed) }
    public static var isAsked: Bool { number != 0 }
    /// As a shell tells it.
    public static var exitCode: Int32 { 128 + number }
}
