import CFaultDisk
import Glibc
import LibCrypto
import Store

/// Drives the real store through a scenario while the fault disk records, and keeps the model beside it.
final class Workload {
    /// What a mark in the recording says.
    enum Mark {
        /// The folder is made: from here on it must open.
        static let made: UInt64 = 1
        /// Batch n may be on its way to the disk.
        static func begun(_ batch: Int) -> UInt64 { UInt64(batch) * 4 + 2 }
        /// Batch n was acknowledged.
        static func acknowledged(_ batch: Int) -> UInt64 { UInt64(batch) * 4 + 3 }
    }

    let scenario: Scenario
    let options: StoreOptions
    private(set) var model = BatchModel()
    private var dice: Dice
    private var store: Store?
    private var engineMs: UInt64 = 1_000_000
    /// A batch is with the journal's job.
    private var isCommitting = false
    private var isInCheckpoint = false
    private var isInHook = false
    /// What went wrong in a call that can't throw.
    private var failure: (any Error)?

    /// `path` is the data folder to be.
    init(_ scenario: Scenario, seed: UInt64, path: String) {
        self.scenario = scenario
        dice = Dice(seed)
        options = scenario.options(path: path, dice: &dice)
    }

    static func master() -> SecretBytes {
        SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
    }

    /// Runs under a watched parent folder; the caller owns the recording.
    func record(in parent: String) throws -> OpaquePointer? {
        fault_disk_watch(parent)
        if scenario == .first {
            fault_disk_record()
            try Store.create(at: options.path, master: Workload.master())
            fault_disk_mark(Mark.made)
        } else {
            try Store.create(at: options.path, master: Workload.master())
            fault_disk_record()
            fault_disk_mark(Mark.made)
        }
        fault_disk_on_call(
            { context, _ in
                guard let context else { return }
                Unmanaged<Workload>.fromOpaque(context).takeUnretainedValue().betweenCalls()
            }, Unmanaged.passUnretained(self).toOpaque())
        try open()
        for _ in 0..<scenario.steps {
            try step()
            if let failure { throw failure }
        }
        try finishCommit()
        store?.abandon()
        store = nil
        let log = fault_disk_take_log()
        fault_disk_stop()
        return log
    }

    private func open() throws {
        // Its lock goes with it.
        store = nil
        store = try Store(opening: options, master: Workload.master())
        store?.keysPerTransaction = 3 + dice.below(12)
    }

    /// kill -9 and a new start.
    private func restart() throws {
        try live().abandon()
        try open()
    }

    private func live() throws -> Store {
        guard let store else { throw StoreError.poisoned }
        return store
    }

    private func step() throws {
        switch dice.below(20) {
        case 0..<13:
            try finishCommit()
            try beginCommit()
            if dice.oneIn(2) { try finishCommit() }
        case 13..<18: if try !checkpoint() { try restart() }
        case 18 where dice.oneIn(2): try commitThatFails()
        case 18:
            // kill -9: the page cache stays, a batch on its way may or may not be there.
            if isCommitting { try dice.oneIn(2) ? finishCommit() : dropCommit() }
            try restart()
        default:
            try finishCommit()
            try live().close(now: engineMs)
            try open()
        }
    }

    // MARK: batches

    /// In overlapped mode the batch is on its way until `finishCommit`.
    private func beginCommit() throws {
        let store = try live()
        engineMs += UInt64(1 + dice.below(40))
        let batch = makeBatch(number: model.count + 1, at: engineMs)
        Workload.write(batch, to: store)
        model.append(batch)
        fault_disk_mark(Mark.begun(model.count))
        switch try store.commit(clock: batch.clock) {
        case .synced: fault_disk_mark(Mark.acknowledged(model.count))
        case .started: isCommitting = true
        }
    }

    private func finishCommit() throws {
        guard isCommitting else { return }
        let store = try live()
        store.runJournalJob()
        try store.finishCommit()
        isCommitting = false
        fault_disk_mark(Mark.acknowledged(model.count))
    }

    /// The process dies before the journal's job did anything.
    private func dropCommit() {
        isCommitting = false
        model = model.prefix(model.count - 1)
    }

    /// The disk fails in the commit: the process ends, and the next start says whether the batch was there.
    private func commitThatFails() throws {
        try finishCommit()
        fault_disk_fail(UInt32(dice.oneIn(2) ? FAULT_SYNC : FAULT_WRITE), 1, EIO, true)
        do {
            try beginCommit()
            try finishCommit()
            throw SimFailure("the disk failed, and the commit did not")
        } catch is StoreError {
            isCommitting = false
        }
        fault_disk_mend()
        try restart()
        let recovered = Int(try live().nextSequence) - 1
        if recovered == model.count {
            fault_disk_mark(Mark.acknowledged(recovered))
        } else {
            dropCommit()
        }
    }

    static func write(_ batch: BatchModel.Batch, to store: Store) {
        for write in batch.writes {
            write.key.bytes.withUnsafeBytes { key in
                guard let value = write.value else { return store.delete(table: write.key.table, key: key) }
                value.withUnsafeBytes {
                    store.put(table: write.key.table, key: key, value: $0, expiresAt: write.expiresAt)
                }
            }
        }
    }

    private func makeBatch(number: Int, at now: UInt64) -> BatchModel.Batch {
        Workload.makeBatch(number: number, at: now, scenario, &dice)
    }

    /// Writes whose values name their batch, so that a mix of two shows.
    static func makeBatch(number: Int, at now: UInt64, _ scenario: Scenario, _ dice: inout Dice)
        -> BatchModel.Batch
    {
        var writes: [BatchModel.Write] = []
        let count = scenario == .recycled ? 3 : 1 + dice.below(6)
        for index in 0..<count {
            let table = scenario == .recycled ? 2 : UInt8(dice.below(3))
            let key = BatchModel.Key(table: table, bytes: key(dice.below(12), table))
            if scenario != .recycled, dice.oneIn(5) {
                writes.append(BatchModel.Write(key: key, value: nil, expiresAt: 0))
                continue
            }
            // Three of 180 bytes make a record of two sectors, always.
            let length =
                scenario == .recycled ? 180 : 8 + dice.below(index == 0 && dice.oneIn(3) ? 1_800 : 120)
            var value = [UInt8](repeating: UInt8(truncatingIfNeeded: number &* 31 &+ index), count: length)
            for byte in 0..<8 { value[byte] = UInt8(truncatingIfNeeded: number >> (8 * byte)) }
            let expires = table == 2 || dice.oneIn(3) ? 0 : now + UInt64(1 + dice.below(400))
            writes.append(BatchModel.Write(key: key, value: value, expiresAt: expires))
        }
        let clock = StoreClock(bootID: (1, 2), boottimeMs: now, engineMs: now, wallMs: now + 5)
        return BatchModel.Batch(writes: writes, clock: clock)
    }

    static func key(_ number: Int, _ table: UInt8) -> [UInt8] {
        var key = [UInt8](repeating: 0x11, count: Scenario.tables[Int(table)].keyBytes)
        key[7] = UInt8(number)
        return key
    }

    /// Every key that a batch may touch.
    static let keys: [BatchModel.Key] = (0..<3 as Range<UInt8>).flatMap { table in
        (0..<12).map { BatchModel.Key(table: table, bytes: key($0, table)) }
    }

    // MARK: checkpoints

    /// False = the process must end.
    private func checkpoint() throws -> Bool {
        let store = try live()
        if !store.hasCheckpointJob {
            // With a batch on its way none may begin.
            if scenario != .overlapped { try finishCommit() }
            try store.maintain(now: engineMs)
        }
        guard store.hasCheckpointJob else { return true }
        let isFull = scenario == .full && dice.oneIn(2)
        if isFull { fault_disk_fail(UInt32(FAULT_WRITE), UInt64(1 + dice.below(6)), ENOSPC, true) }
        isInCheckpoint = !isFull
        store.runCheckpointJob { [unowned self] _ in if dice.oneIn(2) { betweenCalls() } }
        isInCheckpoint = false
        fault_disk_mend()
        try finishCommit()
        do {
            try store.maintain(now: engineMs)
            // One that found the disk full is tried again after a second.
            if isFull {
                engineMs += 1_001
                try store.maintain(now: engineMs)
            }
        } catch {
            // LMDB's meta page itself found no room.
            guard isFull else { throw error }
            return false
        }
        return true
    }

    /// The loop takes a turn while the checkpoint is in the midst of its calls.
    private func betweenCalls() {
        guard isInCheckpoint, !isInHook, failure == nil, dice.oneIn(6) else { return }
        isInHook = true
        defer { isInHook = false }
        do {
            if isCommitting { try finishCommit() } else { try beginCommit() }
        } catch { failure = error }
    }
}
