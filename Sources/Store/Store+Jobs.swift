/// The store's two threads, taken over by the simulation: it decides when their jobs run.
extension Store {
    /// An overlapped sync waits.
    package var hasJournalJob: Bool { journalWorker?.hasJob ?? false }
    /// A checkpoint waits.
    package var hasCheckpointJob: Bool { checkpointWorker.hasJob }

    /// Writes and syncs the batch in hand.
    package func runJournalJob() { journalWorker?.runJob() }

    /// Keys of one LMDB transaction of a checkpoint.
    package var keysPerTransaction: Int {
        get { checkpointer.keysPerTransaction }
        set { checkpointer.keysPerTransaction = newValue }
    }

    /// Does the checkpoint; `body` is called at each of its steps, where the loop may take turns meanwhile.
    package func runCheckpointJob(_ body: @escaping (Checkpointer.Step) -> Void) {
        checkpointer.cutsOff = { step in
            body(step)
            return false
        }
        checkpointWorker.runJob()
        checkpointer.cutsOff = nil
    }
}
