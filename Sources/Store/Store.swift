import CLMDB
import CLinuxShim
import Glibc
public import LibCrypto
import Synchronization

/// Keyed records, durable by batch: a journal for acknowledgements, an overlay for what changed lately, LMDB for the rest.
///
/// One thread, the loop, owns it. Writes go to the open batch and are visible to reads at once; `commit` makes them durable as one
/// journal record. It knows no rule of what the records mean.
public final class Store {
    let options: StoreOptions
    let environment: LMDBEnvironment
    let keyring: Keyring
    let journal: Journal
    let opener: TableOpener
    let trees: TreeReader
    private let lock: DataFolder.Lock
    let checkpointWorker: Worker
    let journalWorker: Worker?
    let checkpointer: Checkpointer
    let pace: Pace

    /// The store's epoch, from its file.
    public let epoch: UInt32
    /// What start-up found.
    public let recovery: RecoveryReport
    /// How batches are synced: never `auto`, but what it chose last.
    public internal(set) var commitMode: CommitMode
    /// The median sync at start, nanoseconds.
    public let measuredSyncNanos: UInt64

    var active: Overlay { didSet { fastActive = .passUnretained(active) } }
    var frozen: Overlay? { didSet { fastFrozen = frozen.map { .passUnretained($0) } } }
    var standby: Overlay?
    /// `active` and `frozen` for each request's reads and writes: a reference that may change is counted up and down by whoever reads it.
    var fastActive: Unmanaged<Overlay>
    var fastFrozen: Unmanaged<Overlay>?
    var readTransaction: OpaquePointer
    /// The position of LMDB's snapshot that `readTransaction` sees.
    var snapshotSequence: UInt64
    /// Bytes in the open batch's payload.
    var payloadBytes = 0
    /// The newest sequence known to be durable.
    public internal(set) var syncedSequence: UInt64
    var isSyncing = false
    /// A checkpoint is due, and waits for a moment without an unsynced batch.
    var wantsPause = false
    var isCheckpointing = false
    /// The newest checkpoint found no room, on the disk or within a quota: free bytes say nothing of the latter.
    var checkpointsFail = false
    var failure: StoreError?
    var firstChangeMs: UInt64 = 0
    var retryAtMs: UInt64 = 0
    /// While `sweepsOn`: when the next is due.
    var sweepAtMs: UInt64 = 0
    public internal(set) var statistics = StoreStatistics()
    var syncTimes = SyncTimes()
    /// `auto` was asked for, and the disk is a real one.
    let looksAgain: Bool
    /// At work, or done: once a start.
    var pruner: KeyPruner?
    /// The journal's end that this start found.
    let startSequence: UInt64

    /// What the journal thread reported and `finishCommit` hasn't taken yet.
    enum SyncOutcome: Sendable {
        /// And how long its write and sync took.
        case durable(nanos: UInt64)
        case failed(StoreError)
    }
    let syncOutcome = Mutex<SyncOutcome?>(nil)
    let checkpointOutcome = Mutex<Checkpointer.Outcome?>(nil)
    var frozenPosition = Position()
    /// The journal's rolls when the checkpoint in hand was begun.
    var rollsAtFreeze = 0

    /// Called on the journal thread when an overlapped sync has ended; the loop then calls `finishCommit`.
    public var onSynced: (@Sendable () -> Void)?
    /// Says which request is being decided, which a storage failure takes back, and how far the journal is durable.
    public let crashNote: CrashNote
    /// Called on the checkpointer's thread; the loop then calls `maintain`.
    public var onCheckpointDone: (@Sendable () -> Void)?

    /// The keyring is nearly full: what an operator should know.
    public var keyringRemark: String? { keyring.remark }

    /// Refuses a place where `create` would, before anything is made for it.
    public static func checkNew(_ path: String) throws(StoreError) {
        guard FileSystem.exists(path) else { return }
        guard try FileSystem.names(in: path).isEmpty else { throw .alreadyExists(path: path) }
    }

    /// Makes a data folder; refuses one that isn't empty.
    public static func create(at path: String, master: borrowing SecretBytes) throws(StoreError) {
        try DataFolder.create(at: path, master: master)
    }

    /// Opens a data folder and recovers. When it returns, everything ever acknowledged is here.
    public init(opening options: StoreOptions, master: borrowing SecretBytes) throws(StoreError) {
        for (index, spec) in options.tables.enumerated() {
            precondition(Int(spec.id) == index && (8...Envelope.maxKeyBytes).contains(spec.keyBytes), "table ids are 0, 1, 2, …")
        }
        precondition(
            options.segmentBytes >= 4_096 && options.segmentBytes % JournalRecord.alignment == 0,
            "a segment is whole blocks, and holds records")
        self.options = options
        let path = options.path
        let uuid = try DataFolder.readFormat(path)
        try DataFolder.checkPrivate(path)
        lock = try DataFolder.Lock(path)
        try DataFolder.syncName(path)
        let epochOnDisk = try DataFolder.readEpoch(path)
        crashNote = try CrashNote(in: path, uuid: uuid, isMirrored: options.mirrorsCrashNote)
        keyring = try Keyring(opening: path + "/keyring", master: master)
        MappedFile.opening(path + "/lmdb/data.mdb")
        defer { MappedFile.opened() }
        environment = try LMDBEnvironment(path: path + "/lmdb", mapBytes: options.mapBytes, tables: options.tables)
        let journalFolder = path + "/journal"
        checkpointer = try Checkpointer(
            environment: environment, specs: options.tables, keyring: keyring, folder: path,
            journalFolder: journalFolder, segmentBytes: options.segmentBytes)
        pace = Pace(dueMs: options.checkpointMs, dueRecords: min(options.checkpointRecords, options.overlayRecords / 2))
        let rising = options.tables.first(where: \.isRising)?.id
        active = Overlay(records: options.overlayRecords, bytes: options.overlayBytes, rising: rising)
        standby = Overlay(records: options.overlayRecords, bytes: options.overlayBytes, rising: rising)
        fastActive = .passUnretained(active)

        var position = try Store.position(environment)
        try Journal.prepare(journalFolder, segmentBytes: options.segmentBytes)
        // Only a folder that was never open has no segment: anywhere else a missing journal is lost acknowledgements.
        if environment.isNew, position == Position(), try Journal.segments(in: journalFolder).isEmpty {
            try Journal.preallocate(Journal.path(journalFolder, 1), bytes: options.segmentBytes)
        }
        // A start that was killed may have left names that are in the page cache alone: what is acknowledged from now on must not hang on
        // them.
        try FileSystem.syncFolder(journalFolder)
        try environment.createTables(options.tables)
        _ = try environment.survey()
        var recovery = Recovery(
            folder: journalFolder, uuid: uuid, keyring: keyring, epoch: epochOnDisk, bound: crashNote.bound,
            acceptsLoss: options.acceptLostRequests, position: position)
        recovery.report.lastClock = position.sequence > 0 ? position.clock : nil
        let replay = Replay(
            overlay: active, specs: options.tables, checkpointer: checkpointer, journalFolder: journalFolder)
        try recovery.run { (payload, header, before) throws(StoreError) in
            try replay.apply(payload, header, before)
        }
        position = recovery.position
        epoch = try Store.begin(crashNote, &recovery, options)
        try replay.finish(position)
        self.recovery = recovery.report
        journal = try Journal(
            folder: journalFolder, segmentBytes: options.segmentBytes, uuid: uuid, key: keyring.newest, position: position)
        measuredSyncNanos = try Journal.measureSync(journalFolder)
        looksAgain = options.commit == .auto && !options.runsJobsByHand
        switch options.commit {
        case .auto: commitMode = SyncTimes.mode(measuredSyncNanos)
        case .adaptive: commitMode = .adaptive
        case .inline: commitMode = .inline
        case .overlapped: commitMode = .overlapped
        }
        opener = TableOpener(keyring)
        syncedSequence = position.sequence
        startSequence = position.sequence
        readTransaction = try environment.begin(readOnly: true)
        snapshotSequence = try Store.position(environment, in: readTransaction).sequence
        statistics.freeBytes = FileSystem.freeBytes(at: path)
        let survey = try environment.survey()
        statistics.file = survey.gauges
        trees = try TreeReader(environment, options.tables, opener, readTransaction, survey)
        // The replay of a start doesn't rest.
        if !options.runsJobsByHand { checkpointer.pace = pace }
        // Last: a start that is refused leaves no thread behind.
        checkpointWorker = Worker(name: "otpd-checkpoint", yields: true, runsByHand: options.runsJobsByHand)
        journalWorker = commitMode == .inline ? nil : Worker(name: "otpd-journal", runsByHand: options.runsJobsByHand)
    }

    /// LMDB's position, after its transaction id was checked.
    private static func position(_ environment: LMDBEnvironment) throws(StoreError) -> Position {
        let transaction = try environment.begin(readOnly: true)
        defer { mdb_txn_abort(transaction) }
        return try position(environment, in: transaction)
    }

    static func position(_ environment: LMDBEnvironment, in transaction: OpaquePointer) throws(StoreError) -> Position {
        var result: Result<UnsafeRawBufferPointer?, StoreError> = .success(nil)
        "position".withMeta { key in
            do throws(StoreError) {
                result = .success(try LMDBEnvironment.get(transaction, environment.meta, key))
            } catch { result = .failure(error) }
        }
        guard let bytes = try result.get() else { return Position() }
        guard let position = Position(bytes) else {
            throw .damaged(path: "lmdb meta", detail: "the position has a wrong length")
        }
        return position
    }

    // MARK: the open batch

    /// With key, envelope and LMDB's own head it stays below the 2,038 bytes of a leaf's node: no overflow pages.
    public static let maxValueBytes = 1_900

    /// The sequence that the open batch will have.
    public var nextSequence: UInt64 { journal.position.sequence + 1 }
    /// Whether nothing was written since the last commit.
    public var batchIsEmpty: Bool { payloadBytes == 0 }

    /// Writes may go to the open batch. While a batch is being synced the next one is open already, but for the moment that a checkpoint
    /// needs: it folds synced records alone.
    public var takesWrites: Bool { !isSyncing || !wantsPause }

    /// Room for one more request: else a write is answered *overloaded* until a checkpoint has made room.
    public var canAccept: Bool { canCommit && statistics.usedBytes < statistics.mapBytes / 100 * 95 }

    /// The same, but for the map: what only the journal keeps, such as the time by which a full map is swept.
    public var canCommit: Bool {
        failure == nil && takesWrites
            && fastActive._withUnsafeGuaranteedRef { $0.hasRoom(records: 64, bytes: 64 << 10) && $0.count + 64 <= admitted($0.capacity) }
            && payloadBytes + (64 << 10) <= journal.payloadCapacity
            && (journal.hasPlace || (!checkpointsFail && statistics.freeBytes >= UInt64(2 * options.segmentBytes)))
    }

    /// Records that the active overlay may hold now. While a checkpoint runs, the upper half fills only as fast as the checkpoint
    /// writes: admission slows to its speed, and then nobody waits for its end.
    private func admitted(_ capacity: Int) -> Int {
        guard isCheckpointing else { return capacity }
        return capacity / 2 + min(capacity / 2, checkpointer.written.load(ordering: .relaxed))
    }

    /// A checkpoint is under way that will make room.
    public var makesRoom: Bool { frozen != nil && isCheckpointing }

    /// Engine time of the newest commit: what checkpoints judge by. 0 = there was none.
    public var lastCommitMs: UInt64 { journal.position.clock.engineMs }

    /// Records changed since the checkpoint that was last begun.
    package var overlayCount: Int { active.count }

    /// More has expired than the last checkpoint swept: the next is due as soon as after a write.
    public internal(set) var sweepsOn = false

    /// Room on the disk and in the map for new challenges. Verifies go on below it: a code lives ten minutes, and in these all that are
    /// out take less than what is left.
    public var canAcceptSends: Bool {
        !checkpointsFail && statistics.freeBytes >= Store.freeBytesForSends && statistics.usedBytes < statistics.mapBytes / 4 * 3
    }

    /// Below it on the disk, no new challenges.
    public static let freeBytesForSends: UInt64 = 256 << 20

    /// Writes a record that reads as absent from `expiresAt` (engine ms; 0 = never) on.
    public func put(
        table: UInt8, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, expiresAt: UInt64
    ) {
        append(1, table, key, value, expiresAt)
        fastActive._withUnsafeGuaranteedRef {
            $0.set(table, key, value, expiresAt: expiresAt, epoch: epoch, sequence: nextSequence)
        }
    }

    /// Deletes a record.
    public func delete(table: UInt8, key: UnsafeRawBufferPointer) {
        append(2, table, key, nil, 0)
        fastActive._withUnsafeGuaranteedRef { $0.set(table, key, nil, expiresAt: 0, epoch: epoch, sequence: nextSequence) }
    }

    private func append(
        _ operation: UInt8, _ table: UInt8, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?,
        _ expiresAt: UInt64
    ) {
        precondition(takesWrites, "a checkpoint waits for a moment without an open batch")
        precondition(key.count == options.tables[Int(table)].keyBytes, "a table's keys have one width")
        precondition((value?.count ?? 0) <= Store.maxValueBytes, "a value stays in its LMDB leaf")
        let payload = journal.payload
        let length = value?.count ?? 0
        precondition(payloadBytes + 10 + key.count + length <= payload.count, "the batch is full: check canAccept first")
        payload.set(payloadBytes, operation)
        payload.set(payloadBytes + 1, table)
        payload.set48(payloadBytes + 2, expiresAt)
        payload.set(payloadBytes + 8, UInt16(length))
        payload.copy(payloadBytes + 10, key)
        if let value { payload.copy(payloadBytes + 10 + key.count, value) }
        payloadBytes += 10 + key.count + length
    }

    // MARK: threads

    func startJournalJob(_ total: Int) {
        guard let journalWorker else { preconditionFailure("only overlapped commits have a journal thread") }
        let journal = Handoff(value: journal)
        let box = HandoffBox(store: self)
        let done = onSynced
        journalWorker.start {
            let start = linux_monotonic_nanos()
            let failure = journal.value.outcome(ofWriting: total)
            let nanos = linux_monotonic_nanos() - start
            journalWorker.finishJob()
            box.store.syncOutcome.withLock { $0 = failure.map(SyncOutcome.failed) ?? .durable(nanos: nanos) }
            done?()
        }
    }

    func startCheckpointJob(_ overlay: Overlay, _ position: Position) {
        let job = Handoff(value: (checkpointer, overlay))
        let box = HandoffBox(store: self)
        let worker = checkpointWorker
        let done = onCheckpointDone
        isCheckpointing = true
        checkpointer.written.store(0, ordering: .relaxed)
        pace.changed.store(0, ordering: .relaxed)
        worker.start {
            let outcome = job.value.0.run(job.value.1, position: position)
            worker.finishJob()
            box.store.checkpointOutcome.withLock { $0 = outcome }
            done?()
        }
    }

    /// Ends the threads and closes LMDB without a checkpoint: what a crash leaves behind.
    package func abandon() {
        pace.isHurried.store(true, ordering: .relaxed)
        journalWorker?.stop()
        checkpointWorker.stop()
        pruner?.stop()
        mdb_txn_abort(readTransaction)
        environment.close()
        crashNote.close()
        failure = .poisoned
    }
}

/// A value that belongs to the other thread until it reports that it is done.
struct Handoff<Value>: @unchecked Sendable {  // the worker's mutex orders every hand-over
    let value: Value
}

/// A store that another thread tells its outcome: through the store's mutexes alone.
struct HandoffBox: @unchecked Sendable {  // only `syncOutcome` and `checkpointOutcome` are touched
    let store: Store
}
