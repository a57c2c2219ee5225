import LibCrypto

@testable import Store

/// Recovery over a journal that was changed by a hand that can repair checksums and has old, foreign and forked records to put in.
/// Whatever the bytes are: no trap; what is replayed is what was sealed, in order, without a hole; a record behind a hole is never
/// dropped in silence; an untouched journal is replayed whole.
/// Input: which record LMDB has reached, the epoch, then changes of five bytes each.
enum RecoveryFuzz: FuzzTarget {
    static let name = "recovery"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 256 else { return }
        var input = FuzzInput(bytes)
        let reached = Int(input.u8()) % (ForgedJournal.records + 1)
        // Below that of `laterEpoch`: those records are never this folder's.
        let epoch = UInt32(input.u8() % 3)
        let journal = ForgedJournal.shared
        journal.begin()
        while !input.isEmpty { change(journal, &input) }
        journal.write()
        let applied = try replay(journal, reached, epoch)
        try journal.rewrittenInPlace(applied, after: reached)
    }

    private static func change(_ journal: ForgedJournal, _ input: inout FuzzInput) {
        let (kind, target, place, value) = (input.u8(), Int(input.u8()), input.u16(), input.u8())
        switch kind % 10 {
        case 0: journal.flip(target, place, value)
        case 1:
            journal.flip(target, place, value)
            journal.fixChecksum(target)
        case 2: journal.copy(from: .sound(place), to: target)
        case 3: journal.copy(from: .fork(place), to: target)
        case 4: journal.copy(from: .foreign(place), to: target)
        case 5: journal.erase(target, from: place)
        case 6: journal.truncate(segment: target, to: place)
        case 7: journal.copy(from: .laterEpoch(place), to: target)
        // A header's field, as one that knows the layout would set it: sequence, segment, length, data key, previous tag.
        case 8:
            journal.set(target, at: [7, 31, 39, 55, 56, 57, 58, 59, 63, 75][place % 10], to: value)
            journal.fixChecksum(target)
        default: journal.set(target, at: 5, to: value)
        }
    }

    /// The number of the last record that was replayed; `nil` = refused.
    private static func replay(_ journal: ForgedJournal, _ reached: Int, _ epoch: UInt32) throws(FuzzFailure) -> Int? {
        var recovery = Recovery(
            folder: journal.folder.path, uuid: ForgedJournal.uuid, keyring: journal.keyring, epoch: epoch,
            position: journal.position(reached))
        var last = reached
        var problem: String?
        var refusal: StoreError?
        do throws(StoreError) {
            try recovery.run { (payload, header, before) throws(StoreError) in
                if header.sequence != UInt64(last + 1) { problem = "\(header.sequence) is replayed after \(last)" }
                if before != journal.position(last) { problem = problem ?? "\(last + 1) is replayed after another position" }
                if !isEqual(payload, journal.payload(last + 1)) { problem = problem ?? "\(last + 1) has another payload" }
                last += 1
            }
        } catch { refusal = error }
        if let problem { throw FuzzFailure(description: problem) }
        let sound = (reached..<ForgedJournal.records).prefix { journal.isSound($0 + 1, epoch) }.count + reached
        let isReachedSound = reached == 0 || (epoch >= 1 && journal.isThere(reached))
        let isHole = (sound + 1..<ForgedJournal.records + 2).contains { journal.isSound($0, .max) }
        if let refusal {
            let mayBe = journal.isUntouched || (journal.isTornAtTheEnd && reached < ForgedJournal.records)
            try expect(epoch < 1 || !mayBe, "a journal that is sound but for a torn last record is refused: \(refusal)")
            return nil
        }
        try expect(isReachedSound, "the record that LMDB has reached was changed, and recovery went on")
        try expect(last == sound, "\(last) records are replayed, and \(sound) are sound")
        try expect(!isHole, "a record behind the hole after \(last) was dropped in silence")
        try expect(recovery.position == journal.position(last), "recovery ends at another position than record \(last)")
        try expect(recovery.report.replayed == last - reached, "the report counts other records")
        return last
    }
}
