import CLinuxShim
import Glibc
import LibCrypto

/// The files around LMDB and the journal: format, lock, keyring, epoch.
enum DataFolder {
    static let format = "otpd-store 1"

    /// A new folder, whole or not at all: made beside, synced, renamed.
    static func create(at path: String, master: borrowing SecretBytes) throws(StoreError) {
        if FileSystem.exists(path) {
            guard try FileSystem.names(in: path).isEmpty, rmdir(path) == 0 else { throw .alreadyExists(path: path) }
        }
        let staging = path + ".new-\(getpid())"
        try FileSystem.makeFolder(staging)
        try FileSystem.makeFolder(staging + "/lmdb")
        try FileSystem.makeFolder(staging + "/journal")
        let uuid = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
            Random.fill(bytes)
            return bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        }
        try FileSystem.replace(staging + "/format", with: Array("\(format)\n\(uuid)\n".utf8))
        try FileSystem.replace(staging + "/epoch", with: Array("1\n".utf8))
        try FileSystem.replace(staging + "/lock", with: [])
        try Keyring.create(at: staging + "/keyring", master: master)
        try FileSystem.syncFolder(staging + "/lmdb")
        try FileSystem.syncFolder(staging + "/journal")
        try FileSystem.syncFolder(staging)
        try FileSystem.rename(staging, path)
        try FileSystem.syncFolder(FileSystem.parent(of: path))
    }

    /// The store's UUID, after the format is known to be ours.
    static func readFormat(_ path: String) throws(StoreError) -> (UInt64, UInt64) {
        guard FileSystem.exists(path + "/format") else {
            if FileSystem.exists(path), access(path, R_OK | W_OK | X_OK) != 0 {
                throw .io(operation: "open", path: path, code: errno)
            }
            throw .notADataFolder(path: path)
        }
        let text = String(decoding: try FileSystem.contents(path + "/format", limit: 4096), as: UTF8.self)
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("otpd-store ") else { throw .notADataFolder(path: path) }
        guard first == format else { throw .newerFormat(path: path, found: String(first)) }
        guard lines.count == 2, lines[1].utf8.count == 32, let high = UInt64(lines[1].prefix(16), radix: 16),
            let low = UInt64(lines[1].suffix(16), radix: 16)
        else { throw .damaged(path: path + "/format", detail: "the second line isn't a UUID of 32 digits") }
        return (high, low)
    }

    static func readEpoch(_ path: String) throws(StoreError) -> UInt32 {
        let text = String(decoding: try FileSystem.contents(path + "/epoch", limit: 64), as: UTF8.self)
        guard text.hasSuffix("\n"), let epoch = UInt32(text.dropLast()) else {
            throw .damaged(path: path + "/epoch", detail: "the epoch isn't a number")
        }
        return epoch
    }

    /// Held until the descriptor goes, that is, until the process ends.
    static func lock(_ path: String) throws(StoreError) -> FileDescriptor {
        let file = try FileDescriptor(path + "/lock", O_RDWR)
        let code = linux_lock_exclusive(file.fd)
        if code == -EWOULDBLOCK { throw .locked(path: path) }
        guard code == 0 else { throw .io(operation: "flock", path: path + "/lock", code: -code) }
        return file
    }
}
