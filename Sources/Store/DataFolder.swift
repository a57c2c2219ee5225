import CLinuxShim
import Glibc
import LibCrypto

/// The files around LMDB and the journal: format, lock, keyring, epoch.
enum DataFolder {
    static let format = "otpd-store 1"

    /// A new folder, whole or not at all: made beside, synced, renamed over an empty one or none.
    static func create(at given: String, master: borrowing SecretBytes) throws(StoreError) {
        var path = given
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        try Store.checkNew(path)
        try removeStaging(of: path)
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
        try LMDBEnvironment.create(at: staging + "/lmdb")
        try FileDescriptor(staging + "/lmdb/data.mdb", O_RDWR).sync()
        try FileSystem.syncFolder(staging + "/lmdb")
        try FileSystem.syncFolder(staging + "/journal")
        try FileSystem.syncFolder(staging)
        try FileSystem.rename(staging, path)
        try FileSystem.syncFolder(FileSystem.parent(of: path))
    }

    /// What a crash in an earlier `create` left: staging folders whose process is gone.
    static func removeStaging(of path: String) throws(StoreError) {
        let parent = FileSystem.parent(of: path)
        guard FileSystem.exists(parent) else { return }
        let prefix =
            String(path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...])
            + ".new-"
        for name in try FileSystem.names(in: parent) where name.hasPrefix(prefix) {
            guard let pid = pid_t(name.dropFirst(prefix.count)), pid > 0 else { continue }
            if pid == getpid() || (kill(pid, 0) != 0 && errno == ESRCH) {
                try FileSystem.removeTree(parent + "/" + name)
            }
        }
    }

    /// Only otpd's user may look into the folder: LMDB trusts its file.
    static func checkPrivate(_ path: String) throws(StoreError) {
        var info = stat()
        guard stat(path, &info) == 0 else { throw .io(operation: "stat", path: path, code: errno) }
        guard info.st_uid == geteuid() else {
            throw .notPrivate(
                path: path, detail: "belongs to uid \(info.st_uid), and this is uid \(geteuid())")
        }
        guard info.st_mode & 0o077 == 0 else {
            throw .notPrivate(path: path, detail: "has mode 0\(String(info.st_mode & 0o777, radix: 8))")
        }
    }

    /// The store's UUID, after the format is known to be ours.
    static func readFormat(_ path: String) throws(StoreError) -> (UInt64, UInt64) {
        guard FileSystem.exists(path + "/format") else {
            if FileSystem.exists(path), access(path, R_OK | W_OK | X_OK) != 0 {
                throw .io(operation: "open", path: path, code: errno)
            }
            if BackupFiles.isBackup(path) { throw .isBackup(path: path) }
            throw .notADataFolder(path: path)
        }
        let text = String(decoding: try FileSystem.contents(path + "/format", limit: 4096), as: UTF8.self)
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("otpd-store ") else {
            throw .notADataFolder(path: path)
        }
        guard first == format else { throw .newerFormat(path: path, found: String(first)) }
        guard lines.count == 2, lines[1].utf8.count == 32, lines[1].utf8.allSatisfy(isHexDigit),
            let high = UInt64(lines[1].prefix(16), radix: 16),
            let low = UInt64(lines[1].suffix(16), radix: 16)
        else { throw .damaged(path: path + "/format", detail: "the second line isn't a UUID of 32 digits") }
        return (high, low)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    static func readEpoch(_ path: String) throws(StoreError) -> UInt32 {
        let text = String(decoding: try FileSystem.contents(path + "/epoch", limit: 64), as: UTF8.self)
        // Digits alone: `UInt32("+1")` is a number to Swift.
        guard text.hasSuffix("\n"), text.utf8.dropLast().allSatisfy({ (0x30...0x39).contains($0) }),
            let epoch = UInt32(text.dropLast())
        else {
            throw .damaged(path: path + "/epoch", detail: "the epoch isn't a number")
        }
        // A restore's new epoch was written by hand; records will soon demand it.
        try FileDescriptor(path + "/epoch", O_RDONLY).sync()
        return epoch
    }

    /// Durable when it returns: from then on no open challenge and no grant is valid.
    static func raiseEpoch(_ path: String, to epoch: UInt32) throws(StoreError) {
        try FileSystem.replace(path + "/epoch", with: Array("\(epoch)\n".utf8))
    }

    /// The folder's own name: an `otpd init` that was killed may have left it in the page cache alone. A parent that otpd's user can't
    /// read is in its administrator's hands.
    static func syncName(_ path: String) throws(StoreError) {
        let parent = FileSystem.parent(of: path)
        if access(parent, R_OK) == 0 { try FileSystem.syncFolder(parent) }
    }

    /// Held until it goes, that is, until the process ends. The folder itself is locked, for a file in it can be removed and made anew;
    /// the file `lock` keeps out an otpd of before that.
    struct Lock: ~Copyable {
        private let folder: FileDescriptor
        private let file: FileDescriptor

        init(_ path: String) throws(StoreError) {
            let folder = try FileDescriptor(path, O_RDONLY | O_DIRECTORY)
            try Lock.take(folder, path)
            let file = try FileDescriptor(path + "/lock", O_RDWR)
            try Lock.take(file, path)
            self.folder = folder
            self.file = file
        }

        private static func take(_ file: borrowing FileDescriptor, _ path: String) throws(StoreError) {
            let code = linux_lock_exclusive(file.fd)
            if code == -EWOULDBLOCK { throw .locked(path: path) }
            guard code == 0 else { throw .io(operation: "flock", path: file.path, code: -code) }
        }
    }
}
