import LibCrypto

@testable import Store

/// A journal of six records in two segments, in memory, that can be changed like by an attacker with the disk and, for the records that
/// otpd itself may have sealed, with its keys: a fork's records, those of a later epoch, those of another store.
final class ForgedJournal: @unchecked Sendable {
    static let records = 6
    static let uuid: (UInt64, UInt64) = (0x0102_0304_0506_0708, 0x1112_1314_1516_1718)
    private static let foreignUUID: (UInt64, UInt64) = (0x0102_0304_0506_0708, 0x1112_1314_1516_1719)
    private static let payloads = [0, 33, 360, 369, 900, 12]
    private static let segmentBytes = 4_096
    /// Records 1–3 are in the first segment.
    private static let inFirst = 3

    /// Fuzzing has one thread, and the replay is `.serialized`.
    static let shared = ForgedJournal()

    /// What is put in place of a record. Numbers of records count round.
    enum Source {
        case sound(Int)
        /// Sealed by the same store after another predecessor.
        case fork(Int)
        case foreign(Int)
        /// Sealed by the same store in epoch 3.
        case laterEpoch(Int)
    }

    private struct Record {
        var segment: Int
        var offset: Int
        var bytes: [UInt8]
        var position: Position
    }

    let folder = FuzzFolder()
    let keyring: Keyring
    private var sound: [Record] = []
    private var fork: [Record] = []
    private var foreign: [Record] = []
    private var laterEpoch: [Record] = []
    private var plain: [[UInt8]] = []
    /// As they are on disk, and how much of them.
    private let segments = [ScratchMemory(bytes: segmentBytes), ScratchMemory(bytes: segmentBytes)]
    private var lengths = [0, 0]
    private(set) var isUntouched = true
    /// The one thing that a crash leaves: a last record that is there to some byte.
    private(set) var isTornAtTheEnd = true

    private init() {
        do {
            let master = SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
            let path = folder.path + "/keyring"
            try Keyring.create(at: path, master: master)
            keyring = try Keyring(opening: path, master: master)
        } catch { fatalError("the harness has no keyring: \(error)") }
        for (index, count) in ForgedJournal.payloads.enumerated() {
            plain.append((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) })
        }
        sound = history(ForgedJournal.uuid, epoch: 1, firstTag: (0, 0))
        fork = history(ForgedJournal.uuid, epoch: 1, firstTag: (1, 1))
        foreign = history(ForgedJournal.foreignUUID, epoch: 1, firstTag: (0, 0))
        laterEpoch = history(ForgedJournal.uuid, epoch: 3, firstTag: (0, 0))
    }

    private var nonce: UInt64 = 0

    private func history(_ uuid: (UInt64, UInt64), epoch: UInt32, firstTag: (UInt64, UInt64)) -> [Record] {
        var made: [Record] = []
        var before = Position()
        before.tag = firstTag
        let cipher = keyring.newest.journalCipher()
        for (index, payload) in plain.enumerated() {
            let segment = index < ForgedJournal.inFirst ? 1 : 2
            let offset = segment == Int(before.segment) ? Int(before.next) : 0
            nonce += 1
            let header = JournalRecord.Header(
                uuid: uuid, segment: UInt64(segment), sequence: UInt64(index + 1), previousTag: before.tag,
                payloadBytes: UInt32(payload.count), dataKey: 1, nonce: nonce, epoch: epoch,
                clock: StoreClock(bootID: (1, 2), boottimeMs: nonce, engineMs: nonce, wallMs: nonce),
                segmentBytes: ForgedJournal.segmentBytes)
            var bytes = [UInt8](repeating: 0, count: header.paddedBytes)
            bytes.withUnsafeMutableBytes { raw in
                JournalRecord.encode(header, into: raw)
                let view = UnsafeRawBufferPointer(raw)
                var scratch = [UInt8](repeating: 0, count: JournalRecord.headerBytes)
                scratch.withUnsafeMutableBytes { scratch in
                    JournalRecord.withNonce(nonce) { nonce in
                        payload.withUnsafeBytes { plain in
                            cipher.seal(
                                nonce: nonce, aad: JournalRecord.aad(view, scratch), plaintext: plain,
                                into: raw.slice(JournalRecord.headerBytes, plain.count + AEAD.tagBytes))
                        }
                    }
                }
                raw.set(JournalRecord.crcOffset, JournalRecord.crc(view, payloadBytes: payload.count))
                JournalRecord.putStamps(
                    raw, payloadBytes: payload.count,
                    first: JournalRecord.firstStamp(uuid: uuid, segment: UInt64(segment), sequence: UInt64(index + 1)))
                before = Position(header, view, at: offset)
            }
            made.append(Record(segment: segment, offset: offset, bytes: bytes, position: before))
        }
        return made
    }

    // MARK: what is true

    /// Of record `number`; 0 = before the first.
    func position(_ number: Int) -> Position { number == 0 ? Position() : sound[number - 1].position }

    func payload(_ number: Int) -> UnsafeRawBufferPointer {
        guard number <= ForgedJournal.records else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let bytes = memory(of: number)
        plain[number - 1].withUnsafeBytes { bytes.copyMemory(from: $0) }
        return UnsafeRawBufferPointer(rebasing: bytes[..<plain[number - 1].count])
    }

    private let plainMemory = ScratchMemory(bytes: segmentBytes)

    private func memory(of number: Int) -> UnsafeMutableRawBufferPointer { plainMemory.slice(0, plain[number - 1].count) }

    /// Whether record `number` stands whole at its place, whatever its padding and its stamps hold, and isn't of an epoch later than `epoch`.
    func isSound(_ number: Int, _ epoch: UInt32) -> Bool { number <= ForgedJournal.records && epoch >= 1 && isThere(number) }

    /// Whether all that is authenticated of record `number` is there: enough for the one that LMDB has reached.
    func isThere(_ number: Int) -> Bool {
        let record = sound[number - 1]
        guard record.offset + record.bytes.count <= lengths[record.segment - 1] else { return false }
        let (there, count) = (slot(number), authenticated(number))
        return record.bytes.indices.allSatisfy { index in
            isPadding(index, count) || there[index] == record.bytes[index]
        }
    }

    /// Stamps, and what is neither the record's nor displaced by a stamp; `count` bytes are authenticated. From SCHEMA.md §3.
    private func isPadding(_ index: Int, _ count: Int) -> Bool {
        if index % 512 >= 508 { return true }
        let content = (count + 3) / 4 * 4
        guard index >= count else { return false }
        var place = content
        for stamp in stride(from: 508, to: content, by: 512) {
            if place % 512 == 508 { place += 4 }
            if (place..<place + 4).contains(index) { return stamp + index - place >= count }
            place += 4
        }
        return true
    }

    private func authenticated(_ number: Int) -> Int { JournalRecord.headerBytes + plain[number - 1].count + AEAD.tagBytes }

    private func slot(_ number: Int) -> UnsafeMutableRawBufferPointer {
        let record = sound[number - 1]
        return segments[record.segment - 1].slice(record.offset, record.bytes.count)
    }

    private func number(_ any: Int) -> Int { any % ForgedJournal.records + 1 }

    // MARK: changes

    func begin() {
        (isUntouched, isTornAtTheEnd) = (true, true)
        for memory in segments { memory.slice(0, ForgedJournal.segmentBytes).initializeMemory(as: UInt8.self, repeating: 0) }
        lengths = [ForgedJournal.segmentBytes, ForgedJournal.segmentBytes]
        for number in 1...ForgedJournal.records { slot(number).copyBytes(from: sound[number - 1].bytes) }
    }

    func flip(_ target: Int, _ place: Int, _ value: UInt8) {
        (isUntouched, isTornAtTheEnd) = (false, false)
        let slot = slot(number(target))
        slot[place % slot.count] ^= value
    }

    func set(_ target: Int, at place: Int, to value: UInt8) {
        (isUntouched, isTornAtTheEnd) = (false, false)
        slot(number(target))[place] = value
    }

    /// Both checksums, for the payload's length that the header now says, as far as it goes.
    func fixChecksum(_ target: Int) {
        let record = sound[number(target) - 1]
        let bytes = segments[record.segment - 1].slice(record.offset, ForgedJournal.segmentBytes - record.offset)
        let view = UnsafeRawBufferPointer(bytes)
        bytes.set(JournalRecord.headerCheckOffset, JournalRecord.headerCheck(view))
        guard let header = JournalRecord.header(view), header.paddedBytes <= view.count else { return }
        bytes.set(JournalRecord.crcOffset, JournalRecord.stampedCRC(view, header))
    }

    /// What is longer than the place is cut, as a later write would have done.
    func copy(from source: Source, to target: Int) {
        (isUntouched, isTornAtTheEnd) = (false, false)
        let bytes =
            switch source {
            case .sound(let other): sound[number(other) - 1].bytes
            case .fork(let other): fork[number(other) - 1].bytes
            case .foreign(let other): foreign[number(other) - 1].bytes
            case .laterEpoch(let other): laterEpoch[number(other) - 1].bytes
            }
        let slot = slot(number(target))
        slot.copyBytes(from: bytes.prefix(slot.count))
    }

    func erase(_ target: Int, from place: Int) {
        isUntouched = false
        if number(target) != ForgedJournal.records { isTornAtTheEnd = false }
        let slot = slot(number(target))
        let start = place % slot.count
        slot.slice(start, slot.count - start).initializeMemory(as: UInt8.self, repeating: 0)
    }

    func truncate(segment: Int, to place: Int) {
        (isUntouched, isTornAtTheEnd) = (false, false)
        lengths[segment % 2] = place % (ForgedJournal.segmentBytes + 1)
    }

    // MARK: the files

    private func file(_ index: Int) -> String { "000000000000000\(index + 1).seg" }

    func write() {
        for index in 0..<2 {
            folder.write(file(index), UnsafeRawBufferPointer(segments[index].slice(0, lengths[index])))
        }
    }

    /// Recovery writes the last record again, with its stamps mended, and nothing else: the files are what they were.
    func rewrittenInPlace(_ last: Int?, after reached: Int) throws(FuzzFailure) {
        if let last, last > reached {
            let slot = slot(last)
            for index in slot.indices where index % 512 >= 508 { slot[index] = sound[last - 1].bytes[index] }
        }
        for index in 0..<2 {
            let bytes = (try? FileSystem.contents(folder.path + "/" + file(index))) ?? []
            let before = UnsafeRawBufferPointer(segments[index].slice(0, lengths[index]))
            try expect(before.elementsEqual(bytes), "recovery changed segment \(index + 1), the last record being \(last ?? 0)")
        }
    }
}
