import CLinuxShim
import Glibc
import Synchronization

/// How fast a checkpoint goes: so that it ends shortly before the next one is due. The pages of one that ran as fast as it can would stand in
/// the disk's queue before every journal sync, and then leave the disk idle.
///
/// The checkpointer's thread rests; the loop says how much has changed meanwhile, and when there is a hurry.
final class Pace: Sendable {
    /// Of the time until the next checkpoint.
    private static let share = 0.8
    /// Milliseconds between looks.
    private static let lookMs: UInt32 = 2

    private let dueNanos: Double
    private let dueRecords: Double
    private let begunAt = Atomic<UInt64>(0)
    /// Records changed since the checkpoint began.
    let changed = Atomic<Int>(0)
    /// Somebody waits for the checkpoint's end.
    let isHurried = Atomic<Bool>(false)

    /// The next checkpoint is due after so many milliseconds, or so many changed records.
    init(dueMs: UInt64, dueRecords: Int) {
        dueNanos = Double(dueMs) * 1e6
        self.dueRecords = Double(dueRecords)
    }

    func begin() { begunAt.store(linux_monotonic_nanos(), ordering: .relaxed) }

    /// Returns when the part that is done is no larger than the part of the time that has passed.
    func rest(done: Int, of all: Int) {
        let part = Double(done) / Double(max(1, all)) * Pace.share
        while !isHurried.load(ordering: .relaxed), passed < part { usleep(Pace.lookMs * 1_000) }
    }

    /// The next checkpoint is due already.
    var isBehind: Bool { Double(changed.load(ordering: .relaxed)) >= dueRecords || isHurried.load(ordering: .relaxed) }

    /// Of the way to the next checkpoint, by time or by records, whichever is nearer.
    private var passed: Double {
        let nanos = Double(linux_monotonic_nanos() - begunAt.load(ordering: .relaxed))
        return max(nanos / dueNanos, Double(changed.load(ordering: .relaxed)) / dueRecords)
    }
}
