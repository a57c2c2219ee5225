import CFaultDisk
import Glibc
import Store

/// A promise that a crash state breaks.
struct SimFailure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

/// Opens what a crash left, compares it with the model, works on, crashes again, and compares again.
struct StateCheck {
    let scenario: Scenario
    let options: StoreOptions
    let model: BatchModel
    /// The newest batch that was acknowledged; `nil` = not even the folder was promised.
    var acknowledged: Int?
    /// The newest that may be there.
    var begun: Int
    /// The process died, the machine lives: what wasn't synced can still be lost.
    var wasKilled: Bool
    var dice: Dice
    /// The store was opened and compared so often.
    var states = 0

    private static let hows = [
        CRASH_ALL_LOST, CRASH_ALL_LOST, CRASH_ALL_KEPT, CRASH_SUBSET, CRASH_TORN, CRASH_PREFIX,
    ]

    /// The folder is as the crash left it, and watched.
    mutating func run() throws {
        // After a kill the page cache has the note's newest bound; after a power cut the disk has any that there was.
        try leaveBound(acknowledged ?? 0, always: wasKilled)
        if dice.oneIn(4) { try crashInRecovery() }
        let store = try openAfterCrash()
        var now = try compare(store, atLeast: acknowledged ?? 0, atMost: begun)
        // What a start has shown is promised from then on, before any write.
        now = try workOn(store, now)
        store.abandon()
        crash()
        try leaveBound(now.count, always: false)
        states += 1
        let again = try open()
        defer { again.abandon() }
        let found = try compare(again, atLeast: now.count, atMost: now.count, now)
        guard found.count == now.count else { throw SimFailure("batches moved") }
    }

    // MARK: crashes

    private mutating func leaveBound(_ batch: Int, always: Bool) throws {
        guard always || dice.oneIn(2), access(options.path + "/format", F_OK) == 0 else { return }
        _ = try Store.leaveBound(UInt64(batch), in: options.path)
    }

    private mutating func crash() {
        fault_disk_power_off()
        // After a kill the harshest: what the start saw in the page cache must not hang on it.
        let how =
            wasKilled && !dice.oneIn(3) ? CRASH_ALL_LOST : StateCheck.hows[dice.below(StateCheck.hows.count)]
        _ = fault_disk_crash(UInt32(how), dice.next())
    }

    /// The start is cut off at any call, by a power cut or by a failing disk, and what it left is the new state.
    private mutating func crashInRecovery() throws {
        let call = UInt64(1 + dice.below(24))
        let cutsPower = dice.oneIn(2)
        if cutsPower {
            fault_disk_crash_at(fault_disk_calls() + call)
        } else {
            let kinds = FAULT_WRITE | FAULT_OPEN | FAULT_RENAME | FAULT_UNLINK
            fault_disk_fail(UInt32(kinds), call, EIO, true)
        }
        do {
            let store = try Store(opening: options, master: Workload.master())
            store.abandon()
        } catch {
            // A refusal is judged at the start that follows.
        }
        fault_disk_mend()
        if cutsPower { crash() }
    }

    // MARK: starts

    private func open() throws -> Store { try Store(opening: options, master: Workload.master()) }

    private mutating func openAfterCrash() throws -> Store {
        states += 1
        if acknowledged == nil, try isUnmade() {
            try Store.create(at: options.path, master: Workload.master())
        }
        return try open()
    }

    /// No folder, or an empty one: the first start was cut off, and is done again.
    private func isUnmade() throws -> Bool {
        guard access(options.path, F_OK) == 0 else { return true }
        guard let list = opendir(options.path) else { throw SimFailure("the folder can't be read") }
        defer { closedir(list) }
        var names = 0
        while readdir(list) != nil { names += 1 }
        return names <= 2
    }

    // MARK: comparing

    /// Returns the batches that are there.
    private func compare(
        _ store: Store, atLeast least: Int, atMost most: Int, _ history: BatchModel? = nil
    ) throws -> BatchModel {
        let history = history ?? model
        let count = Int(store.nextSequence) - 1
        guard count >= least else {
            throw SimFailure("batch \(least) was acknowledged, and the store ends at \(count)")
        }
        guard count <= most else {
            throw SimFailure("the store holds batch \(count), and only \(most) were begun")
        }
        let clock = count == 0 ? nil : history.batches[count - 1].clock
        guard store.recovery.lastClock == clock else {
            throw SimFailure("the last batch's times aren't those of batch \(count)")
        }
        guard store.epoch == 1, store.syncedSequence == UInt64(count) else {
            throw SimFailure("epoch \(store.epoch), synced \(store.syncedSequence), with \(count) batches")
        }
        try compareRecords(store, history, count)
        return history.prefix(count)
    }

    private func compareRecords(_ store: Store, _ history: BatchModel, _ count: Int) throws {
        let now = history.now(after: count)
        for table in 0..<UInt8(Scenario.tables.count) {
            var found: [(key: [UInt8], value: [UInt8])] = []
            try store.scan(table: table, from: [], now: now) { key, value, _ in
                found.append((Array(key), Array(value)))
                return true
            }
            let expected = history.records(table, after: count)
            guard found.elementsEqual(expected, by: { $0.key == $1.key && $0.value == $1.value }) else {
                throw SimFailure(
                    "table \(table) isn't that of batch \(count): \(found.count) records, \(expected.count) expected"
                )
            }
        }
        try withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 8) { buffer in
            for key in Workload.keys {
                let result = try key.bytes.withUnsafeBytes {
                    try store.read(table: key.table, key: $0, now: now, into: buffer)
                }
                let value = result.length < 0 ? nil : Array(buffer.prefix(result.length))
                guard value == history.value(key, after: count) else {
                    throw SimFailure(
                        "key \(key.bytes[7]) of table \(key.table) isn't as batch \(count) left it")
                }
            }
        }
    }

    // MARK: work after a crash

    /// A batch or several, a checkpoint, or nothing but what was read.
    private mutating func workOn(_ store: Store, _ history: BatchModel) throws -> BatchModel {
        var history = history
        let kind = dice.below(6)
        if kind == 0 { return history }
        if kind == 1 || kind == 2 { try store.checkpointNow(now: history.now(after: history.count)) }
        for _ in 0..<(kind < 3 ? 1 : kind < 5 ? 1 : 6) {
            let now = max(1_000_000, history.now(after: history.count)) + UInt64(1 + dice.below(50))
            let batch = Workload.makeBatch(number: history.count + 1 + 64, at: now, scenario, &dice)
            Workload.write(batch, to: store)
            if try store.commit(clock: batch.clock) == .started {
                store.runJournalJob()
                try store.finishCommit()
            }
            history.append(batch)
        }
        if kind == 2 || (kind == 5 && dice.oneIn(2)) {
            try store.checkpointNow(now: history.now(after: history.count))
        }
        return history
    }
}
