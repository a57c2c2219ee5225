import CLinuxShim
import Glibc
import LibCrypto

/// The log for acknowledgements: preallocated, zero-filled segments, one sealed record a batch, one `fdatasync` a record.
///
/// The loop owns it, but for the moments between `write` being handed to the journal thread and its report.
final class Journal {
    let folder: String
    let segmentBytes: Int
    let uuid: (UInt64, UInt64)
    /// Header, payload in the making, tag; and the record that was sealed last, which the journal thread may be writing.
    private var buffer: UnsafeMutableRawBufferPointer
    private(set) var sealed: UnsafeMutableRawBufferPointer
    private(set) var position: Position
    private var file: FileDescriptor
    private let cipher: AEAD
    private let dataKey: UInt32
    private var nonce: UInt64 = 0
    private let aadScratch: UnsafeMutableRawBufferPointer
    /// Bytes of the segment in use that are preallocated: said in each record, so that a start sees a file that was cut.
    private var fileBytes: Int
    /// And how many of them are used: fewer in a segment that was made under another setting.
    private var limit: Int { min(segmentBytes, fileBytes) }
    /// How many spares `roll` finds at least. The loop's own note: the files themselves are the checkpointer's.
    var spares = 1
    /// Since the start.
    private(set) var rolls = 0

    /// Continues after `position`, in its segment, which exists.
    init(
        folder: String, segmentBytes: Int, uuid: (UInt64, UInt64), key: DataKey, position: Position
    ) throws(StoreError) {
        self.folder = folder
        self.segmentBytes = segmentBytes
        self.uuid = uuid
        self.position = position
        cipher = key.journalCipher()
        dataKey = key.id
        buffer = .allocate(byteCount: JournalRecord.padded(JournalRecord.maxPayloadBytes), alignment: 4096)
        sealed = .allocate(byteCount: JournalRecord.padded(JournalRecord.maxPayloadBytes), alignment: 4096)
        aadScratch = .allocate(byteCount: JournalRecord.headerBytes, alignment: 8)
        file = try FileDescriptor(Journal.path(folder, position.segment), O_RDWR)
        fileBytes = try file.size
    }

    deinit {
        buffer.deallocate()
        sealed.deallocate()
        aadScratch.deallocate()
    }

    static func name(_ segment: UInt64) -> String {
        let digits = String(segment)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits + ".seg"
    }
    static func path(_ folder: String, _ segment: UInt64) -> String { folder + "/" + name(segment) }
    /// No setting makes a smaller one.
    static let leastSegmentBytes = 4_096
    /// Where segments wait to be used again. Two: while one is taken, the other spares a checkpoint from making a new one, whose zeros
    /// would stand before every sync.
    static func spares(_ folder: String) -> [String] { [folder + "/spare", folder + "/spare-2"] }
    private static func thereAre(_ folder: String) -> Int { spares(folder).count { FileSystem.exists($0) } }

    /// Numbers of the segments there are, ascending.
    static func segments(in folder: String) throws(StoreError) -> [UInt64] {
        var numbers: [UInt64] = []
        for name in try FileSystem.names(in: folder) where name.hasSuffix(".seg") {
            guard let number = UInt64(name.dropLast(4)), Journal.name(number) == name else {
                throw .damaged(path: folder + "/" + name, detail: "the name isn't a segment's")
            }
            numbers.append(number)
        }
        return numbers
    }

    /// A zero-filled file: appends into it change no metadata, so one flush is enough, and ENOSPC can't hit them.
    /// - Parameter isGentle: others sync beside it: it goes to the disk piece by piece.
    static func preallocate(_ path: String, bytes: Int, isGentle: Bool = false) throws(StoreError) {
        let temporary = path + ".new"
        do {
            let file = try FileDescriptor(temporary, O_RDWR | O_CREAT | O_TRUNC)
            let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: isGentle ? 256 << 10 : 1 << 20, alignment: 4096)
            defer { zeros.deallocate() }
            zeros.initializeMemory(as: UInt8.self, repeating: 0)
            var offset = 0
            while offset < bytes {
                let count = min(zeros.count, bytes - offset)
                try file.write(UnsafeRawBufferPointer(zeros).slice(0, count), at: offset)
                offset += count
                if isGentle { try file.syncData() }
            }
            try file.sync()
        }
        try FileSystem.rename(temporary, path)
        try FileSystem.syncFolder(FileSystem.parent(of: path))
    }

    /// Bytes of the largest payload: a record never spans segments.
    var payloadCapacity: Int { min(JournalRecord.maxPayloadBytes, JournalRecord.payloadFitting(segmentBytes)) }

    /// Whether the next record finds a preallocated place, whatever its size.
    var hasPlace: Bool { spares > 0 || Int(position.next) + JournalRecord.padded(payloadCapacity) <= limit }

    /// The payload's place in `buffer`.
    var payload: UnsafeMutableRawBufferPointer { buffer.slice(JournalRecord.headerBytes, payloadCapacity) }

    /// Seals the payload in place and makes the record whole; the next payload begins in the other buffer. Returns the bytes to write.
    func seal(payloadBytes: Int, epoch: UInt32, clock: StoreClock) throws(StoreError) -> Int {
        let total = JournalRecord.padded(payloadBytes)
        precondition(payloadBytes <= payloadCapacity, "a batch fits into one segment")
        if Int(position.next) + total > limit { try roll() }
        nonce += 1
        let header = JournalRecord.Header(
            uuid: uuid, segment: position.segment, sequence: position.sequence + 1, previousTag: position.tag,
            payloadBytes: UInt32(payloadBytes), dataKey: dataKey, nonce: nonce, epoch: epoch, clock: clock,
            segmentBytes: fileBytes)
        JournalRecord.encode(header, into: buffer)
        let view = UnsafeRawBufferPointer(buffer)
        let body = buffer.slice(JournalRecord.headerBytes, payloadBytes + AEAD.tagBytes)
        JournalRecord.withNonce(nonce) { nonce in
            cipher.seal(
                nonce: nonce, aad: JournalRecord.aad(view, aadScratch),
                plaintext: view.slice(JournalRecord.headerBytes, payloadBytes), into: body)
        }
        let end = JournalRecord.headerBytes + payloadBytes + AEAD.tagBytes
        buffer.slice(end, total - end).initializeMemory(as: UInt8.self, repeating: 0)
        buffer.set(JournalRecord.crcOffset, JournalRecord.crc(view, payloadBytes: payloadBytes))
        position.sequence += 1
        position.offset = position.next
        position.next += UInt64(total)
        position.tag = (view.u64(end - 16), view.u64(end - 8))
        position.clock = clock
        JournalRecord.putStamps(
            buffer.slice(0, total), payloadBytes: payloadBytes,
            first: JournalRecord.firstStamp(uuid: uuid, segment: position.segment, sequence: position.sequence))
        swap(&buffer, &sealed)
        return total
    }

    /// Appends the sealed record and syncs it: the moment of truth. Any failure is final. None is sealed before it has ended.
    func write(_ total: Int) throws(StoreError) {
        try file.write(UnsafeRawBufferPointer(sealed).slice(0, total), at: Int(position.offset))
        try file.syncData()
    }

    /// `write` for a thread that reports: `nil` = durable.
    func outcome(ofWriting total: Int) -> StoreError? {
        do throws(StoreError) {
            try write(total)
            return nil
        } catch { return error }
    }

    /// Takes a spare as the next segment.
    private func roll() throws(StoreError) {
        let next = position.segment + 1
        let path = Journal.path(folder, next)
        if try !takeSpare(path) { try Journal.preallocate(path, bytes: segmentBytes) }
        try FileSystem.syncFolder(folder)
        file = try FileDescriptor(path, O_RDWR)
        fileBytes = segmentBytes
        spares = max(0, spares - 1)
        rolls += 1
        position.segment = next
        position.next = 0
    }

    private func takeSpare(_ path: String) throws(StoreError) -> Bool {
        for spare in Journal.spares(folder) {
            if rename(spare, path) == 0 { return true }
            guard errno == ENOENT else { throw .io(operation: "rename", path: spare, code: errno) }
        }
        return false
    }

    /// On the checkpointer's thread: segments before `durable` aren't needed any more; they become spares where one is missing, the others
    /// go. Returns how many spares there are.
    static func recycle(_ folder: String, before durable: UInt64, segmentBytes: Int) throws(StoreError) -> Int {
        for segment in try segments(in: folder) where segment < durable {
            let bytes = try FileDescriptor(path(folder, segment), O_RDONLY).size
            if bytes == segmentBytes, let missing = spares(folder).first(where: { !FileSystem.exists($0) }) {
                try FileSystem.rename(path(folder, segment), missing)
            } else {
                try FileSystem.remove(path(folder, segment))
            }
        }
        let found = thereAre(folder)
        if found > 0 {
            try FileSystem.syncFolder(folder)
            return found
        }
        try preallocate(spares(folder)[0], bytes: segmentBytes, isGentle: true)
        return 1
    }

    /// At a start: what a crash left half made goes, spares of another size too, and there is a spare of the right one.
    static func prepare(_ folder: String, segmentBytes: Int) throws(StoreError) {
        for name in try FileSystem.names(in: folder) where name.hasSuffix(".new") {
            try FileSystem.remove(folder + "/" + name)
        }
        for spare in spares(folder) where FileSystem.exists(spare) {
            let bytes = try FileDescriptor(spare, O_RDONLY).size
            if bytes != segmentBytes { try FileSystem.remove(spare) }
        }
        if thereAre(folder) == 0 { try preallocate(spares(folder)[0], bytes: segmentBytes) }
    }

    /// The median of nine syncs of 512 bytes into a spare, nanoseconds.
    static func measureSync(_ folder: String) throws(StoreError) -> UInt64 {
        let names = spares(folder)
        let file = try FileDescriptor(names.first(where: FileSystem.exists) ?? names[0], O_RDWR)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 512)
        defer { block.deallocate() }
        block.initializeMemory(as: UInt8.self, repeating: 0)
        var times: [UInt64] = []
        for _ in 0..<9 {
            let start = linux_monotonic_nanos()
            try file.write(UnsafeRawBufferPointer(block), at: 0)
            try file.syncData()
            times.append(linux_monotonic_nanos() - start)
        }
        return times.sorted()[4]
    }
}
