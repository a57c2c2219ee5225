/// A lower bound of what was acknowledged: the newest record that was durable, as the crash note holds it.
/// The journal must reach it.
struct SyncedBound: Equatable {
    static let bytes = 24

    var sequence: UInt64
    /// Of that record.
    var segment: UInt64
    /// The folder's epoch then: a restore has raised it since, or has it not.
    var epoch: UInt32

    /// The newer of two.
    static func < (a: SyncedBound, b: SyncedBound) -> Bool { (a.epoch, a.sequence) < (b.epoch, b.sequence) }

    /// Begins the check of a slot: the store's UUID, so that another folder's slots say nothing.
    static func seed(_ uuid: (UInt64, UInt64)) -> UInt32 {
        withUnsafeBytes(of: (uuid.0.bigEndian, uuid.1.bigEndian)) { CRC32C.update(0, $0) }
    }

    /// Plain stores, no allocation. Layout as in SCHEMA.md §10.
    func encode(into slot: UnsafeMutableRawBufferPointer, seed: UInt32) {
        slot.set(0, sequence)
        slot.set(8, segment)
        slot.set(16, epoch)
        slot.set(20, CRC32C.update(seed, UnsafeRawBufferPointer(slot).slice(0, 20)))
    }

    init(sequence: UInt64, segment: UInt64, epoch: UInt32) {
        self.sequence = sequence
        self.segment = segment
        self.epoch = epoch
    }

    /// `nil`: the slot is torn, flipped, another folder's, or was never written.
    init?(_ slot: UnsafeRawBufferPointer, seed: UInt32) {
        guard slot.u32(20) == CRC32C.update(seed, slot.slice(0, 20)), slot.u64(0) > 0 else { return nil }
        self.init(sequence: slot.u64(0), segment: slot.u64(8), epoch: slot.u32(16))
    }
}
