import Glibc

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

    /// Puts into a folder's crash note, durably, that record `sequence` was acknowledged in its epoch: what a
    /// mapped page may hold after a crash, and a simulated disk can't know. False: there is no note yet.
    package static func leaveBound(_ sequence: UInt64, in folder: String) throws(StoreError) -> Bool {
        let note = folder + "/crash-note"
        guard sequence > 0, FileSystem.exists(note) else { return false }
        let uuid = try DataFolder.readFormat(folder)
        let bound = SyncedBound(sequence: sequence, segment: 1, epoch: try DataFolder.readEpoch(folder))
        let slot = UnsafeMutableRawBufferPointer.allocate(byteCount: SyncedBound.bytes, alignment: 8)
        defer { slot.deallocate() }
        bound.encode(into: slot, seed: SyncedBound.seed(uuid))
        let file = try FileDescriptor(note, O_RDWR)
        try file.write(UnsafeRawBufferPointer(slot), at: CrashNote.slotOffsets.1)
        try file.sync()
        return true
    }
}
