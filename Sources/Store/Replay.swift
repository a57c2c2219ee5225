import Glibc
import LibCrypto

/// Puts recovered records into the overlay; folds it into LMDB when it is full, so memory stays bounded.
final class Replay {
    private let overlay: Overlay
    private let specs: [TableSpec]
    private let checkpointer: Checkpointer
    private let journalFolder: String
    /// Since the last checkpoint.
    private var records = 0
    /// Some tens of milliseconds of replay.
    static let muchKeys = 8_192
    static let muchRecords = 4_096

    init(overlay: Overlay, specs: [TableSpec], checkpointer: Checkpointer, journalFolder: String) {
        self.overlay = overlay
        self.specs = specs
        self.checkpointer = checkpointer
        self.journalFolder = journalFolder
    }

    /// After the last record, which is synced: folds what was much to replay. A server that is killed again and again, each time before a
    /// checkpoint's end, would replay more at each start. On a full disk the overlay keeps it.
    func finish(_ position: Position) throws(StoreError) {
        if overlay.count >= Replay.muchKeys || records >= Replay.muchRecords { _ = try fold(position) }
    }

    /// False: there is no room for it on the disk.
    private func fold(_ position: Position) throws(StoreError) -> Bool {
        switch checkpointer.run(overlay, position: position) {
        case .done:
            overlay.reset()
            records = 0
            return true
        case .retry: return false
        case .failed(let error): throw error
        }
    }

    /// Applies one record's operations; `before` is the position of the record before it.
    func apply(
        _ payload: UnsafeRawBufferPointer, _ header: JournalRecord.Header, _ before: Position
    ) throws(StoreError) {
        if !overlay.hasRoom(records: payload.count / 18 + 1, bytes: payload.count), try !fold(before) {
            throw .io(operation: "checkpoint", path: journalFolder, code: ENOSPC)
        }
        records += 1
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
