import CFaultDisk
import Glibc
import Store

/// One crash state: a moment of a recording, and what becomes of what was unsynced then.
struct CrashCase {
    /// Entries of the recording that happened.
    var length: Int
    /// CRASH_…
    var how: Int
    var seed: UInt64

    var text: String { "\(length):\(how):\(seed)" }

    init(length: Int, how: Int, seed: UInt64) {
        self.length = length
        self.how = how
        self.seed = seed
    }

    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 3, let length = Int(parts[0]), let how = Int(parts[1]),
            let seed = UInt64(parts[2]),
            (CRASH_ALL_LOST...CRASH_KILLED).contains(how)
        else { return nil }
        self.init(length: length, how: how, seed: seed)
    }
}

/// What was explored.
struct Tally {
    var recordings = 0
    var calls = 0
    /// Disks made, no two the same under the same promises.
    var images = 0
    /// Starts of the store that were compared with the model.
    var states = 0
    /// Starts refused after damage that no honest disk does.
    var refused = 0
    var violations = 0
}

/// Records a scenario and checks the states that a crash may leave at each of its moments.
final class Explorer {
    private let scenario: Scenario
    private let seed: UInt64
    private let root: String
    private let workload: Workload
    private let log: OpaquePointer
    private var seen: Set<UInt64> = []
    private(set) var tally = Tally()
    /// Told of each violation: the case, and what is wrong.
    private let report: (CrashCase, String) -> Void

    /// `root`: an empty folder on a tmpfs.
    init(
        _ scenario: Scenario, seed: UInt64, root: String, report: @escaping (CrashCase, String) -> Void
    ) throws {
        self.scenario = scenario
        self.seed = seed
        self.root = root
        self.report = report
        workload = Workload(scenario, seed: seed, path: root + "/data")
        guard let log = try workload.record(in: root) else { throw SimFailure("nothing was recorded") }
        self.log = log
        tally.recordings = 1
        tally.calls = fault_log_length(log)
    }

    deinit { fault_log_free(log) }

    // MARK: cases

    /// All the cases of one moment: facts, M3.
    private func cases(at length: Int, _ body: (CrashCase) throws -> Void) rethrows {
        let count = UInt64(fault_log_pending(log))
        try body(CrashCase(length: length, how: CRASH_ALL_LOST, seed: seed))
        try body(CrashCase(length: length, how: CRASH_KILLED, seed: seed))
        guard count > 0 else { return }
        try body(CrashCase(length: length, how: CRASH_ALL_KEPT, seed: seed))
        for change in 0..<min(count, 70) {
            try body(CrashCase(length: length, how: CRASH_ONE_LOST, seed: change))
            try body(CrashCase(length: length, how: CRASH_ONE_KEPT, seed: change))
            try body(CrashCase(length: length, how: CRASH_PREFIX, seed: change))
        }
        var dice = Dice(seed ^ UInt64(length) << 32)
        for _ in 0..<min(64, 8 * count) {
            try body(CrashCase(length: length, how: CRASH_SUBSET, seed: dice.next()))
        }
        for _ in 0..<16 { try body(CrashCase(length: length, how: CRASH_TORN, seed: dice.next())) }
        for _ in 0..<4 { try body(CrashCase(length: length, how: CRASH_TORN_WORDS, seed: dice.next())) }
    }

    /// Walks through the recording with the promises as they stood.
    private func moments(_ body: (_ length: Int, _ acknowledged: Int?, _ begun: Int) throws -> Void) rethrows
    {
        var (acknowledged, begun): (Int?, Int) = (nil, 0)
        for length in 0...fault_log_length(log) {
            var mark: UInt64 = 0
            if length > 0, fault_log_mark(log, length - 1, &mark) {
                let batch = Int(mark / 4)
                if mark == Workload.Mark.made {
                    acknowledged = 0
                } else if mark % 4 == 2 {
                    begun = batch
                } else {
                    acknowledged = batch
                }
            }
            fault_log_seek(log, length)
            try body(length, acknowledged, begun)
        }
    }

    /// Explores about `budget` states: all cases if they are no more, else a part of them, evenly.
    func explore(budget: Int) {
        var total = 0
        moments { length, _, _ in cases(at: length) { _ in total += 1 } }
        var dice = Dice(seed ^ 0x51A7E5)
        // Each image is opened at least twice.
        let isWhole = total * 2 <= budget
        moments { length, acknowledged, begun in
            cases(at: length) { item in
                // Few and telling: these two come four times as often.
                let weight = item.how == CRASH_ALL_LOST || item.how == CRASH_KILLED ? 4 : 1
                guard isWhole || dice.below(total * 2) < budget * weight else { return }
                check(item, acknowledged, begun)
            }
        }
    }

    /// One case alone.
    func explore(_ item: CrashCase) {
        moments { length, acknowledged, begun in
            if length == item.length { check(item, acknowledged, begun) }
        }
    }

    /// What the recording did around a moment.
    func story(around length: Int, _ lines: Int) -> [String] {
        (max(0, length - lines)..<min(fault_log_length(log), length + 2)).map { index in
            var text = [CChar](repeating: 0, count: 200)
            fault_log_describe(log, index, &text, text.count)
            let words = text.withUnsafeBufferPointer {
                String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
            }
            return "\(index < length ? "done" : "    ") \(index) \(words)"
        }
    }

    private func check(_ item: CrashCase, _ acknowledged: Int?, _ begun: Int) {
        if item.how != CRASH_KILLED {
            var hash = fault_log_hash(log, UInt32(item.how), item.seed)
            hash ^=
                UInt64((acknowledged ?? -1) + 2) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(begun)
                &* 0xC2B2_AE3D_27D4_EB4F
            guard seen.insert(hash).inserted else { return }
        }
        tally.images += 1
        Current.note(scenario, seed, item)
        fault_log_build(log, UInt32(item.how), item.seed, root)
        var check = StateCheck(
            scenario: scenario, options: workload.options, model: workload.model, acknowledged: acknowledged,
            begun: begun,
            dice: Dice(seed ^ UInt64(item.length) << 20 ^ UInt64(item.how) << 50 ^ item.seed))
        check.mayRefuse = item.how == CRASH_TORN_WORDS
        do {
            try check.run()
        } catch {
            tally.violations += 1
            report(item, "\(error)")
        }
        fault_disk_stop()
        tally.states += check.states
        if check.hasRefused { tally.refused += 1 }
    }
}
