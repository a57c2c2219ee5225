import CLMDB
import CLinuxShim
import Glibc
import Synchronization

extension Store {
    /// What `commit` did.
    public enum CommitResult: Sendable, Equatable {
        /// The batch is durable.
        case synced
        /// The journal thread has it; `finishCommit` follows.
        case started
    }

    private func checkHealth() throws(StoreError) {
        if failure != nil { throw .poisoned }
    }

    /// Makes the open batch durable as one record. A failure is final: the batch is *unknown*, the process must end.
    /// - Parameter isLarge: in the adaptive mode: worth the hop to the journal thread, because others will write meanwhile.
    public func commit(clock: StoreClock, isLarge: Bool = false) throws(StoreError) -> CommitResult {
        try checkHealth()
        precondition(!isSyncing, "at most one batch is unsynced")
        if firstChangeMs == 0 { firstChangeMs = clock.engineMs }
        do {
            let total = try journal.seal(payloadBytes: payloadBytes, epoch: epoch, clock: clock)
            payloadBytes = 0
            statistics.commits += 1
            statistics.journalBytes += UInt64(total)
            if commitMode == .overlapped || (commitMode == .adaptive && isLarge) {
                isSyncing = true
                startJournalJob(total)
                return .started
            }
            let start = linux_monotonic_nanos()
            try journal.write(total)
            noteSync(linux_monotonic_nanos() - start)
            noteSynced()
            return .synced
        } catch {
            failure = error
            throw error
        }
    }

    /// Takes the journal thread's report.
    public func finishCommit() throws(StoreError) {
        precondition(isSyncing, "no batch is being synced")
        let outcome = syncOutcome.withLock { box in
            let value = box
            box = nil
            return value
        }
        switch outcome {
        case .durable(let nanos): noteSync(nanos)
        case .failed(let error):
            failure = error
            throw error
        case nil: preconditionFailure("a batch is durable when the journal thread says so, not earlier")
        }
        isSyncing = false
        noteSynced()
    }

    /// A start looks at a disk that may be busy, or idle as never again: `auto` goes on looking.
    private func noteSync(_ nanos: UInt64) {
        statistics.syncNanos += nanos
        guard looksAgain else { return }
        commitMode = syncTimes.note(nanos, now: commitMode)
    }

    /// Whether an overlapped sync is under way.
    public var isCommitting: Bool { isSyncing }

    // MARK: checkpoints

    /// Once a turn: takes a finished checkpoint, starts one that is due. Cheap when there is nothing to do.
    public func maintain(now: UInt64) throws(StoreError) {
        try checkHealth()
        try takeCheckpoint(now: now)
        lookForSpace(now: now)
        let isDue =
            active.count >= min(options.checkpointRecords, active.capacity / 2) || active.used >= active.arena.count / 2
            || (firstChangeMs != 0 && now >= firstChangeMs + options.checkpointMs)
        if isCheckpointing { pace.changed.store(active.count, ordering: .relaxed) }
        if let frozen, !isCheckpointing, now >= retryAtMs { startCheckpointJob(frozen, frozenPosition) }
        if isDue || (sweepsOn && now >= sweepAtMs) { freeze() }
    }

    /// While sends are refused for want of space: nothing else may be written then, so no checkpoint would see that there is room again.
    private func lookForSpace(now: UInt64) {
        guard !canAcceptSends, frozen == nil, now >= retryAtMs else { return }
        retryAtMs = now + 1_000
        statistics.freeBytes = FileSystem.freeBytes(at: options.path)
    }

    /// Starts a checkpoint of what the overlay holds, if none is under way. It may hold nothing: then it is a sweep.
    private func freeze() {
        guard frozen == nil, let next = standby else { return }
        // Only synced positions reach LMDB: no batch is open and none is under way. If there is, the next one waits.
        wantsPause = payloadBytes != 0 || isSyncing
        guard !wantsPause else { return }
        let overlay = active
        frozen = overlay
        active = next
        standby = nil
        frozenPosition = journal.position
        rollsAtFreeze = journal.rolls
        firstChangeMs = 0
        startCheckpointJob(overlay, frozenPosition)
    }

    private func takeCheckpoint(now: UInt64) throws(StoreError) {
        let outcome = checkpointOutcome.withLock { box in
            let value = box
            box = nil
            return value
        }
        guard let outcome, let done = frozen else { return }
        isCheckpointing = false
        switch outcome {
        case .done(let report):
            mdb_txn_reset(readTransaction)
            let code = mdb_txn_renew(readTransaction)
            guard code == 0 else {
                failure = .lmdb(operation: "mdb_txn_renew", code: code)
                throw .lmdb(operation: "mdb_txn_renew", code: code)
            }
            try trees.renew(readTransaction, report.file)
            snapshotSequence = try Store.position(environment, in: readTransaction).sequence
            precondition(
                snapshotSequence >= done.lastSequence,
                "the snapshot must hold the overlay that is dropped, or a used challenge reads as open")
            frozen = nil
            done.reset()
            standby = done
            // The loop may have taken some since they were counted.
            journal.spares = max(0, report.spares - (journal.rolls - rollsAtFreeze))
            checkpointsFail = false
            statistics.checkpoints += 1
            statistics.freeBytes = report.freeBytes
            statistics.file = report.file.gauges
            statistics.sweptRows += report.swept
            statistics.checkpointNanos = report.nanos
            statistics.checkpointTotalNanos += report.nanos
            try pruneKeys()
            sweepsOn = report.isBehind
            sweepAtMs = now + options.checkpointMs
        case .retry:
            // The disk or the map is full: the overlay stays, requests go on while there is room.
            statistics.checkpointRetries += 1
            checkpointsFail = true
            retryAtMs = now + 1_000
        case .failed(let error):
            failure = error
            throw error
        }
    }

    /// Once a start, after a checkpoint of its own: with many data keys, those go that no row needs.
    private func pruneKeys() throws(StoreError) {
        if let pruner {
            if let dropped = try pruner.take() { statistics.droppedKeys += UInt64(dropped) }
            return
        }
        guard keyring.count >= options.pruneKeysFrom, snapshotSequence > startSequence, !options.runsJobsByHand else { return }
        let pruner = KeyPruner(environment, keyring, runsByHand: false)
        self.pruner = pruner
        pruner.start()
    }

    /// Folds everything into LMDB and waits for it: Drain and the end of the process.
    public func checkpointNow(now: UInt64) throws(StoreError) {
        try checkHealth()
        precondition(payloadBytes == 0 && !isSyncing, "commit first")
        pace.isHurried.store(true, ordering: .relaxed)
        defer { pace.isHurried.store(false, ordering: .relaxed) }
        // One that waits for room on the disk gets one more try.
        if let frozen, !isCheckpointing { startCheckpointJob(frozen, frozenPosition) }
        try awaitCheckpoint(now: now)
        freeze()
        try awaitCheckpoint(now: now)
    }

    private func awaitCheckpoint(now: UInt64) throws(StoreError) {
        while frozen != nil {
            if options.runsJobsByHand { checkpointWorker.runJob() } else { usleep(200) }
            try takeCheckpoint(now: now)
            guard frozen == nil || isCheckpointing else {
                // Nothing is lost: the journal holds it, and the next start replays it.
                throw .io(operation: "checkpoint", path: options.path, code: ENOSPC)
            }
        }
    }

    /// A clean end: checkpoint, threads, LMDB. The store takes no more work.
    public func close(now: UInt64) throws(StoreError) {
        try checkpointNow(now: now)
        abandon()
    }
}
