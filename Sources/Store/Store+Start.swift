/// What a start settles between recovery and its first commit.
extension Store {
    /// Makes the crash note the process's own. Returns the epoch to go on in: one higher when a loss was
    /// accepted, which makes open challenges and grants void, because the requests that used them may be what
    /// was lost.
    ///
    /// The order is that of durability: what the event of the loss says, the epoch, the tail. A start that is
    /// cut off between two of them is followed by one that is refused again, or that makes the event.
    static func begin(
        _ note: CrashNote, _ recovery: inout Recovery, _ options: StoreOptions
    ) throws(StoreError) -> UInt32 {
        var epoch = recovery.epoch
        if let loss = recovery.report.loss {
            guard epoch < .max else {
                throw .damaged(path: options.path + "/epoch", detail: "there is no epoch after \(epoch)")
            }
            let sequence = recovery.position.sequence
            // An earlier start accepted it and was cut off before the tail had gone.
            let isUntold = note.loss?.epoch == epoch && recovery.report.lastEpoch < epoch
            let batches = max(loss.batches, isUntold ? note.loss?.batches ?? 0 : 0)
            try note.accept(
                CrashNote.AcceptedLoss(epoch: epoch + 1, sequence: sequence, batches: batches))
            epoch += 1
            try DataFolder.raiseEpoch(options.path, to: epoch)
            try recovery.dropTail()
        }
        // The first record of the new epoch holds the event.
        if let loss = note.loss, loss.epoch == epoch, recovery.report.lastEpoch < epoch {
            recovery.report.lostBatches = loss.batches
        }
        let position = recovery.position
        try note.begin(at: SyncedBound(sequence: position.sequence, segment: position.segment, epoch: epoch))
        return epoch
    }

    /// The newest batch is durable: said before any reply is.
    func noteSynced() {
        syncedSequence = journal.position.sequence
        crashNote.note(SyncedBound(sequence: syncedSequence, segment: journal.position.segment, epoch: epoch))
    }
}
