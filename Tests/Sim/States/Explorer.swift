import CFaultDisk
import Glibc
import Store

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

    /// All the cases of one moment, in the amounts of M3: nothing, all, each change alone lost and kept, subsets, tears.
    private func cases(at length: Int, _ body: (CrashCase) throws -> Void) rethrows {
        var dice = Dice(seed ^ UInt64(length) << 32)
        let count = UInt64(fault_log_pending(log))
        try body(CrashCase(length: length, how: CRASH_ALL_LOST, seed: 0))
        try draw(CRASH_KILLED, 4, at: length, &dice, body)
        if count > 0 {
            try body(CrashCase(length: length, how: CRASH_ALL_KEPT, seed: 0))
            for change in 0..<min(count, 70) {
                try body(CrashCase(length: length, how: CRASH_ONE_LOST, seed: change))
                try body(CrashCase(length: length, how: CRASH_ONE_KEPT, seed: change))
                try body(CrashCase(length: length, how: CRASH_PREFIX, seed: change))
            }
            try draw(CRASH_SUBSET, Int(min(64, 8 * count)), at: length, &dice, body)
            try draw(CRASH_TORN, 16, at: length, &dice, body)
            try draw(CRASH_TORN_WORDS, 4, at: length, &dice, body)
        }
        // LMDB's meta page on its way.
        guard fault_log_begin_next(log) else { return }
        try draw(CRASH_TORN_WORDS, 16, at: length, inFlight: true, &dice, body)
        try draw(CRASH_SUBSET, 4, at: length, inFlight: true, &dice, body)
        fault_log_seek(log, length)
    }

    private func draw(
        _ how: Int, _ times: Int, at length: Int, inFlight: Bool = false, _ dice: inout Dice,
        _ body: (CrashCase) throws -> Void
    ) rethrows {
        for _ in 0..<times {
            try body(CrashCase(length: length, isInFlight: inFlight, how: how, seed: dice.next() >> 40))
        }
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

    /// Explores about `budget` states: all cases if they are no more, else a part of them by their weights.
    func explore(budget: Int) {
        var (total, weights) = (0, 0)
        moments { length, _, _ in
            cases(at: length) { item in
                total += 1
                weights += weight(of: item)
            }
        }
        // Each image is started at least twice.
        let images = budget / 2
        var dice = Dice(seed ^ 0x51A7E5)
        moments { length, acknowledged, begun in
            cases(at: length) { item in
                guard total <= images || dice.below(weights) < images * weight(of: item) else { return }
                check(item, acknowledged, begun)
            }
        }
    }

    /// Few and telling: what was promised rests on the first alone, and a kill shows what was seen before it was durable.
    private func weight(of item: CrashCase) -> Int {
        switch item.how {
        case CRASH_ALL_LOST: 64
        case CRASH_KILLED: scenario == .first ? 64 : 8
        default: 1
        }
    }

    /// One case alone.
    func explore(_ item: CrashCase) {
        moments { length, acknowledged, begun in
            guard length == item.length else { return }
            if item.isInFlight { _ = fault_log_begin_next(log) }
            check(item, acknowledged, begun)
            fault_log_seek(log, length)
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
        let check = StateCheck(
            scenario: scenario, options: workload.options, model: workload.model, acknowledged: acknowledged,
            begun: begun,
            wasKilled: item.how == CRASH_KILLED,
            dice: Dice(seed ^ UInt64(item.length) << 40 ^ UInt64(item.how) << 32 ^ item.seed))
        item.how == CRASH_TORN_WORDS ? checkDamage(check, item) : checkHonest(check, item)
        fault_disk_stop()
    }

    private func checkHonest(_ start: StateCheck, _ item: CrashCase) {
        var check = start
        do {
            try check.run()
        } catch {
            tally.violations += 1
            report(item, "\(error)")
        }
        tally.states += check.states
    }

    /// A tear that no honest disk makes: the start may be refused, and LMDB may die of it, so it is tried in a child. What must never be
    /// is a wrong answer.
    private func checkDamage(_ check: StateCheck, _ item: CrashCase) {
        let box = Damage(check)
        let result = fault_disk_in_child(
            { context in
                guard let context else { return 3 }
                return Unmanaged<Damage>.fromOpaque(context).takeUnretainedValue().run()
            }, Unmanaged.passUnretained(box).toOpaque())
        tally.states += 1
        switch result {
        case 0: break
        case 2: tally.refused += 1
        case ..<0: tally.died += 1
        default: tally.wrong += 1
        }
    }
}

/// One torn disk, for the child that tries it.
private final class Damage {
    private var check: StateCheck

    init(_ check: StateCheck) { self.check = check }

    /// 0 = in order, 2 = refused, 3 = a wrong state was taken for a right one.
    func run() -> Int32 {
        do {
            try check.run()
            return 0
        } catch {
            return error is StoreError ? 2 : 3
        }
    }
}
