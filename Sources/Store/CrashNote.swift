import CLinuxShim
import Glibc

/// Two things that must outlive the process: which request is being decided, so that one that crashes the
/// server twice is found at the next start and refused from then on; and how far the journal is durable, so
/// that a start sees when acknowledged records are gone.
///
/// The page is a shared mapping of the file `crash-note`: both are plain stores, without a system call. It
/// survives the death of the process, not of the machine. After a power cut the file is an older one, and
/// that suits both: a power cut is nobody's poison, and an older bound is a bound. A note that can't be read
/// is dropped: then nothing is quarantined and nothing is known of the journal's end.
public final class CrashNote {
    /// A request that was being decided when the process died.
    struct Entry: Equatable {
        var digest: (UInt64, UInt64)
        var kind: UInt16
        var crashes: UInt16
        /// Engine milliseconds of the start that found it last.
        var lastMs: UInt64

        static func == (a: Entry, b: Entry) -> Bool {
            a.digest == b.digest && a.kind == b.kind && a.crashes == b.crashes && a.lastMs == b.lastMs
        }
    }

    static let magic: UInt32 = 0x4F54_504E
    static let format: UInt32 = 2
    static let fileBytes = 4_096
    static let headBytes = 40
    static let entryBytes = 32
    /// Of the loss that the newest epoch was begun with.
    static let lossOffset = 2_088
    /// Of the two bounds, in sectors of their own.
    static let slotOffsets = (3_072, 3_584)
    /// What the checksum covers ends here: the slots have their own.
    static let checkedBytes = 3_072
    /// Crashes until a request is refused: one may be chance, a kill at the wrong moment.
    public static let crashesUntilRefused: UInt16 = 2
    /// Requests remembered; beyond it the one with the fewest crashes goes, of those the oldest.
    static let maxEntries = 64
    /// How long a request is remembered: request ids are too old after eleven minutes, and a newer otpd may
    /// have mended what a look-up met.
    static let keepMs: UInt64 = 86_400_000

    /// Acknowledged requests that an operator has given up with `--accept-lost-requests`.
    struct AcceptedLoss: Equatable {
        /// The epoch that was begun then.
        var epoch: UInt32
        /// The newest sequence that was left.
        var sequence: UInt64
        /// Batches that were lost, at least.
        var batches: UInt64
    }

    private let path: String
    private let seed: UInt32
    /// `nil` before `begin` and after `close`.
    private var page: UnsafeMutableRawBufferPointer?
    /// A simulated disk doesn't see plain stores: the slots are written to it, too.
    private let isMirrored: Bool
    private var entries: [Entry]
    private var hasQuarantined = false
    private var nextSlot = 0
    /// What the process before left.
    private let left: [UInt8]
    /// The newest of the slots that are whole; `nil`: nothing is known.
    private(set) var bound: SyncedBound?
    private(set) var loss: AcceptedLoss?
    /// The request that this start found and that is refused from now on; `nil`: none.
    public private(set) var newlyQuarantined: UInt16?

    /// Requests that crashed the server, and those of them that are refused.
    public var remembered: Int { entries.count }
    public var quarantined: Int { entries.count { $0.crashes >= CrashNote.crashesUntilRefused } }

    /// Reads what the last process left, and changes nothing. The folder's lock is held by the caller.
    init(in folder: String, uuid: (UInt64, UInt64), isMirrored: Bool = false) throws(StoreError) {
        self.isMirrored = isMirrored
        path = folder + "/crash-note"
        seed = SyncedBound.seed(uuid)
        left = FileSystem.exists(path) ? try FileSystem.contents(path) : []
        entries = CrashNote.entries(in: left)
        bound = CrashNote.bounds(in: left, seed: seed).max(by: <)
        loss = CrashNote.loss(in: left)
    }

    deinit { close() }

    /// From here on the note is the process's own. Before any commit; the journal ends at `bound`.
    func begin(at bound: SyncedBound) throws(StoreError) {
        if CrashNote.format(of: left) != CrashNote.format {
            try FileSystem.replace(path, with: encoded(withNoteOf: left))
        }
        try map()
        if bound.sequence > 0 { note(bound) }
    }

    /// Counts the request that was being decided when the last process died, durably, before anything is
    /// decided.
    public func count(now: UInt64) throws(StoreError) {
        entries = entries.filter { $0.lastMs + CrashNote.keepMs > now }
        if let crash = CrashNote.note(in: left) {
            let index =
                entries.firstIndex { $0.digest == crash.digest && $0.kind == crash.kind }
                ?? CrashNote.place(for: crash, in: &entries)
            entries[index].crashes = min(entries[index].crashes, .max - 1) + 1
            entries[index].lastMs = now
            if entries[index].crashes == CrashNote.crashesUntilRefused { newlyQuarantined = crash.kind }
        }
        hasQuarantined = entries.contains { $0.crashes >= CrashNote.crashesUntilRefused }
        close()
        try FileSystem.replace(path, with: encoded())
        try map()
    }

    /// Before the epoch is raised: the event of it can be made by whichever start has its first record
    /// durable.
    func accept(_ loss: AcceptedLoss) throws(StoreError) {
        self.loss = loss
        try FileSystem.replace(path, with: encoded(withNoteOf: left))
    }

    private func map() throws(StoreError) {
        let file = try FileDescriptor(path, O_RDWR)
        guard let address = mmap(nil, CrashNote.fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0),
            address != MAP_FAILED
        else { throw .io(operation: "mmap", path: path, code: errno) }
        let page = UnsafeMutableRawBufferPointer(start: address, count: CrashNote.fileBytes)
        self.page = page
        let first = UnsafeRawBufferPointer(page).slice(CrashNote.slotOffsets.0, SyncedBound.bytes)
        nextSlot = SyncedBound(first, seed: seed) == bound ? 1 : 0
    }

    /// The store takes no more work; whatever is stored after this goes nowhere.
    func close() {
        if let page { munmap(page.baseAddress, page.count) }
        page = nil
    }

    /// The record is durable: before any reply says so. Plain stores, into the slot that doesn't hold the
    /// newest bound: a slot that is torn hides nothing.
    func note(_ bound: SyncedBound) {
        self.bound = bound
        guard let page else { return }
        let offset = nextSlot == 0 ? CrashNote.slotOffsets.0 : CrashNote.slotOffsets.1
        bound.encode(into: page.slice(offset, SyncedBound.bytes), seed: seed)
        nextSlot ^= 1
        if isMirrored { writeSlot(offset) }
    }

    private func writeSlot(_ offset: Int) {
        let file = linux_open(path, O_RDWR, 0)
        guard file >= 0, let slot = page?.slice(offset, SyncedBound.bytes) else { return }
        _ = pwrite(file, slot.baseAddress, slot.count, off_t(offset))
        Glibc.close(file)
    }

    /// Before a request is looked at; false: refuse it. `kind` isn't 0.
    public func enter(kind: UInt16, digest: (UInt64, UInt64)) -> Bool {
        if hasQuarantined, isQuarantined(kind, digest) { return false }
        page?.set(16, digest.0)
        page?.set(24, digest.1)
        page?.set(8, kind)
        return true
    }

    /// The request was decided.
    public func leave() { page?.set(8, UInt16(0)) }

    private func isQuarantined(_ kind: UInt16, _ digest: (UInt64, UInt64)) -> Bool {
        entries.contains {
            $0.crashes >= CrashNote.crashesUntilRefused && $0.kind == kind && $0.digest == digest
        }
    }

    // MARK: the file

    /// Makes room for a crash that isn't known yet.
    private static func place(for crash: Entry, in entries: inout [Entry]) -> Int {
        if entries.count < maxEntries {
            entries.append(crash)
            return entries.count - 1
        }
        var least = 0
        for index in entries.indices
        where (entries[index].crashes, entries[index].lastMs) < (
            entries[least].crashes, entries[least].lastMs
        ) {
            least = index
        }
        entries[least] = crash
        return least
    }

    /// The request that was being decided when the process died.
    private static func note(in bytes: [UInt8]) -> Entry? {
        guard isOurs(bytes) else { return nil }
        return bytes.withUnsafeBytes { raw in
            let kind = raw.u16(8)
            return kind == 0
                ? nil : Entry(digest: (raw.u64(16), raw.u64(24)), kind: kind, crashes: 0, lastMs: 0)
        }
    }

    private static func entries(in bytes: [UInt8]) -> [Entry] {
        guard isOurs(bytes) else { return [] }
        return bytes.withUnsafeBytes { raw in
            (0..<min(Int(raw.u32(32)), maxEntries)).map { index in
                let at = headBytes + index * entryBytes
                return Entry(
                    digest: (raw.u64(at), raw.u64(at + 8)), kind: raw.u16(at + 16), crashes: raw.u16(at + 18),
                    lastMs: raw.u64(at + 24))
            }
        }
    }

    /// 0: it isn't one.
    private static func format(of bytes: [UInt8]) -> UInt32 {
        guard bytes.count == fileBytes else { return 0 }
        return bytes.withUnsafeBytes { raw in
            let format = raw.u32(4)
            guard raw.u32(0) == magic, format == 1 || format == CrashNote.format else { return 0 }
            // In format 1 there were no slots.
            return raw.u32(36) == checksum(raw, upTo: format == 1 ? fileBytes : checkedBytes) ? format : 0
        }
    }

    private static func isOurs(_ bytes: [UInt8]) -> Bool { format(of: bytes) != 0 }

    /// What a folder's note says was acknowledged, at least; another process may be serving it.
    static func bound(in folder: String, uuid: (UInt64, UInt64)) throws(StoreError) -> SyncedBound? {
        let path = folder + "/crash-note"
        guard FileSystem.exists(path) else { return nil }
        return bounds(in: try FileSystem.contents(path), seed: SyncedBound.seed(uuid)).max(by: <)
    }

    private static func bounds(in bytes: [UInt8], seed: UInt32) -> [SyncedBound] {
        // A slot vouches for itself: damage elsewhere in the note doesn't hide it.
        guard bytes.count == fileBytes else { return [] }
        return bytes.withUnsafeBytes { raw in
            [slotOffsets.0, slotOffsets.1].compactMap {
                SyncedBound(raw.slice($0, SyncedBound.bytes), seed: seed)
            }
        }
    }

    private static func loss(in bytes: [UInt8]) -> AcceptedLoss? {
        guard format(of: bytes) == format else { return nil }
        return bytes.withUnsafeBytes { raw in
            let epoch = raw.u32(lossOffset)
            return epoch == 0
                ? nil
                : AcceptedLoss(
                    epoch: epoch, sequence: raw.u64(lossOffset + 4), batches: raw.u64(lossOffset + 12))
        }
    }

    /// Over all but the note and the slots, which change without it, and itself.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, upTo end: Int) -> UInt32 {
        var crc = CRC32C.update(0, bytes.slice(0, 8))
        crc = CRC32C.update(crc, bytes.slice(32, 4))
        return CRC32C.update(crc, bytes.slice(headBytes, end - headBytes))
    }

    /// - Parameter note: a file whose request in hand is still to be counted.
    private func encoded(withNoteOf note: [UInt8] = []) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: CrashNote.fileBytes)
        bytes.withUnsafeMutableBytes { raw in
            raw.set(0, CrashNote.magic)
            raw.set(4, CrashNote.format)
            if let crash = CrashNote.note(in: note) {
                raw.set(8, crash.kind)
                raw.set(16, crash.digest.0)
                raw.set(24, crash.digest.1)
            }
            raw.set(32, UInt32(entries.count))
            for (index, entry) in entries.enumerated() {
                let at = CrashNote.headBytes + index * CrashNote.entryBytes
                raw.set(at, entry.digest.0)
                raw.set(at + 8, entry.digest.1)
                raw.set(at + 16, entry.kind)
                raw.set(at + 18, entry.crashes)
                raw.set(at + 24, entry.lastMs)
            }
            if let loss {
                raw.set(CrashNote.lossOffset, loss.epoch)
                raw.set(CrashNote.lossOffset + 4, loss.sequence)
                raw.set(CrashNote.lossOffset + 12, loss.batches)
            }
            bound?.encode(into: raw.slice(CrashNote.slotOffsets.0, SyncedBound.bytes), seed: seed)
            raw.set(36, CrashNote.checksum(UnsafeRawBufferPointer(raw), upTo: CrashNote.checkedBytes))
        }
        return bytes
    }
}
