import CLinuxShim
import Glibc

/// Which request is being decided, in a page of memory that outlives the process: a request that crashes the server twice is found at the
/// next start and refused from then on, so that a poison request can't keep the server down.
///
/// The page is a shared mapping of the file `crash-note`: entering and leaving are plain stores, without a system call. It survives the
/// death of the process, not of the machine, and needn't: a power cut is nobody's poison. It guards availability alone; a note that
/// can't be read is dropped.
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
    static let format: UInt32 = 1
    static let fileBytes = 4_096
    static let headBytes = 40
    static let entryBytes = 32
    /// Crashes until a request is refused: one may be chance, a kill at the wrong moment.
    public static let crashesUntilRefused: UInt16 = 2
    /// Requests remembered; beyond it the one with the fewest crashes goes, of those the oldest.
    static let maxEntries = 64
    /// How long a request is remembered: request ids are too old after eleven minutes, and a newer otpd may have mended what a look-up met.
    static let keepMs: UInt64 = 86_400_000

    private let page: UnsafeMutableRawBufferPointer
    private let entries: [Entry]
    private let hasQuarantined: Bool
    /// The request that this start found and that is refused from now on; `nil`: none.
    public let newlyQuarantined: UInt16?

    /// Requests that crashed the server, and those of them that are refused.
    public var remembered: Int { entries.count }
    public var quarantined: Int { entries.count { $0.crashes >= CrashNote.crashesUntilRefused } }

    /// Counts the note that the last process left, durably, before anything is decided. The folder's lock is held by the caller.
    public init(in folder: String, now: UInt64) throws(StoreError) {
        let path = folder + "/crash-note"
        let old = FileSystem.exists(path) ? try FileSystem.contents(path) : []
        var entries = CrashNote.entries(in: old).filter { $0.lastMs + CrashNote.keepMs > now }
        var found: UInt16?
        if let crash = CrashNote.note(in: old) {
            let index =
                entries.firstIndex { $0.digest == crash.digest && $0.kind == crash.kind }
                ?? CrashNote.place(for: crash, in: &entries)
            entries[index].crashes = min(entries[index].crashes, .max - 1) + 1
            entries[index].lastMs = now
            if entries[index].crashes == CrashNote.crashesUntilRefused { found = crash.kind }
        }
        try FileSystem.replace(path, with: CrashNote.encoded(entries))
        self.entries = entries
        newlyQuarantined = found
        hasQuarantined = entries.contains { $0.crashes >= CrashNote.crashesUntilRefused }
        let file = try FileDescriptor(path, O_RDWR)
        guard let address = mmap(nil, CrashNote.fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0),
            address != MAP_FAILED
        else { throw .io(operation: "mmap", path: path, code: errno) }
        page = UnsafeMutableRawBufferPointer(start: address, count: CrashNote.fileBytes)
    }

    deinit { munmap(page.baseAddress, page.count) }

    /// Before a request is looked at; false: refuse it. `kind` isn't 0.
    public func enter(kind: UInt16, digest: (UInt64, UInt64)) -> Bool {
        if hasQuarantined, isQuarantined(kind, digest) { return false }
        page.set(16, digest.0)
        page.set(24, digest.1)
        page.set(8, kind)
        return true
    }

    /// The request was decided.
    public func leave() { page.set(8, UInt16(0)) }

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
        where (entries[index].crashes, entries[index].lastMs) < (entries[least].crashes, entries[least].lastMs) {
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
            return kind == 0 ? nil : Entry(digest: (raw.u64(16), raw.u64(24)), kind: kind, crashes: 0, lastMs: 0)
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

    private static func isOurs(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == fileBytes else { return false }
        return bytes.withUnsafeBytes { $0.u32(0) == magic && $0.u32(4) == format && $0.u32(36) == checksum($0) }
    }

    /// Over all but the note, which changes without it, and itself.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc = CRC32C.update(0, bytes.slice(0, 8))
        crc = CRC32C.update(crc, bytes.slice(32, 4))
        return CRC32C.update(crc, bytes.slice(headBytes, fileBytes - headBytes))
    }

    private static func encoded(_ entries: [Entry]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: fileBytes)
        bytes.withUnsafeMutableBytes { raw in
            raw.set(0, magic)
            raw.set(4, format)
            raw.set(32, UInt32(entries.count))
            for (index, entry) in entries.enumerated() {
                let at = headBytes + index * entryBytes
                raw.set(at, entry.digest.0)
                raw.set(at + 8, entry.digest.1)
                raw.set(at + 16, entry.kind)
                raw.set(at + 18, entry.crashes)
                raw.set(at + 24, entry.lastMs)
            }
            raw.set(36, checksum(UnsafeRawBufferPointer(raw)))
        }
        return bytes
    }
}
