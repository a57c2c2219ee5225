import LibCrypto

/// Puts recovered records into the overlay; folds it into LMDB when it is full, so memory stays bounded.
final class Replay {
    private let overlay: Overlay
    private let specs: [TableSpec]
    private let checkpointer: Checkpointer
    private let journalFolder: String

    init(overlay: Overlay, specs: [TableSpec], checkpointer: Checkpointer, journalFolder: String) {
        self.overlay = overlay
        self.specs = specs
        self.checkpointer = checkpointer
        self.journalFolder = journalFolder
    }

    /// Applies one record's operations; `before` is the position of the record before it.
    func apply(
        _ payload: UnsafeRawBufferPointer, _ header: JournalRecord.Header, _ before: Position
    ) throws(StoreError) {
        if !overlay.hasRoom(records: payload.count / 18 + 1, bytes: payload.count) {
            switch checkpointer.run(overlay, position: before) {
            case .done: overlay.reset()
            case .retry: throw .io(operation: "checkpoint", path: journalFolder, code: 28)
            case .failed(let error): throw error
            }
        }
        var offset = 0
        while offset < payload.count {
            guard payload.count - offset >= 10, Int(payload[offset + 1]) < specs.count else {
                throw .damaged(path: journalFolder, detail: "record \(header.sequence) holds an unknown operation")
            }
            let (operation, table) = (payload[offset], payload[offset + 1])
            let keyBytes = specs[Int(table)].keyBytes
            let length = Int(payload.u16(offset + 8))
            guard operation == 1 || operation == 2, payload.count - offset >= 10 + keyBytes + length else {
                throw .damaged(path: journalFolder, detail: "record \(header.sequence) holds an unknown operation")
            }
            let value = payload.slice(offset + 10 + keyBytes, length)
            overlay.set(
                table, payload.slice(offset + 10, keyBytes), operation == 1 ? value : nil,
                expiresAt: payload.u48(offset + 2), epoch: header.epoch, sequence: header.sequence)
            offset += 10 + keyBytes + length
        }
    }
}
