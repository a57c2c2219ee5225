import Glibc
import LibCrypto

/// What stands in a backup's folder (SCHEMA §11), as its maker and `Restore` see it.
///
/// It has no `format`: no otpd, of whatever build, starts on a backup, where used codes would be open again
/// under their old epoch.
enum BackupFiles {
    static let format = "otpd-backup 1"
    /// `format`, LF, and lines `name value` for people and scripts.
    static let manifest = "backup"
    /// Of every other file, as `sha256sum` writes and checks it.
    static let sums = "SHA256SUMS"
    /// The data folder's `format`.
    static let storeFormat = "store-format"
    static let database = "lmdb/data.mdb"

    /// In a folder that isn't whole yet.
    static let unfinished = "unfinished"

    static func isBackup(_ path: String) -> Bool { FileSystem.exists(path + "/" + manifest) }

    /// Refuses a backup of a later otpd.
    static func check(_ path: String) throws(StoreError) {
        let file = path + "/" + manifest
        let text = String(decoding: try FileSystem.contents(file, limit: 4096), as: UTF8.self)
        guard let first = text.split(separator: "\n").first, first.hasPrefix("otpd-backup ") else {
            throw .damaged(path: file, detail: "the first line isn't `\(format)`")
        }
        guard first == format else { throw .newerFormat(path: path, found: String(first)) }
    }

    /// What killed backups left in a folder, whatever name each was to have: `NAME.new-PID`, its process
    /// gone, and a backup by what is in it.
    /// A copy that would stand in what it is a copy of would be part of the next one, and go with it.
    static func refuseNesting(of target: String, in source: String) throws(StoreError) {
        var whole = target
        while whole.count > 1, whole.hasSuffix("/") { whole.removeLast() }
        guard !whole.isEmpty else { throw .notADataFolder(path: "(an empty path)") }
        guard let inner = realpath(FileSystem.parent(of: whole), nil) else { return }
        defer { free(inner) }
        guard let outer = realpath(source, nil) else { return }
        defer { free(outer) }
        let (folder, root) = (String(cString: inner), String(cString: outer))
        if folder == root || folder.hasPrefix(root + "/") { throw .nested(path: target, within: source) }
    }

    static func removeUnfinished(in parent: String) throws(StoreError) {
        for name in try FileSystem.names(in: parent) {
            guard let mark = name.firstRange(of: ".new-"), let pid = pid_t(name[mark.upperBound...]), pid > 0,
                kill(pid, 0) != 0, errno == ESRCH
            else { continue }
            let path = parent + "/" + name
            if isBackup(path) || FileSystem.exists(path + "/" + unfinished) {
                try FileSystem.removeTree(path)
            } else {
                // Killed before its first file: only an empty one goes.
                rmdir(path)
            }
        }
    }

    /// By name, the digests in `SHA256SUMS`.
    static func readSums(_ path: String) throws(StoreError) -> [String: String] {
        let file = path + "/" + sums
        guard FileSystem.exists(file) else {
            throw .damaged(path: file, detail: "the backup's checksums are missing")
        }
        let text = String(decoding: try FileSystem.contents(file), as: UTF8.self)
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let (digest, name) = (line.prefix(64), line.dropFirst(66))
            guard digest.utf8.count == 64, line.dropFirst(64).hasPrefix("  "), !name.isEmpty else {
                throw .damaged(path: file, detail: "a line isn't a SHA-256 and a name")
            }
            found[String(name)] = String(digest)
        }
        return found
    }

    static func sumsText(_ digests: [(name: String, digest: String)]) -> [UInt8] {
        Array(digests.map { "\($0.digest)  \($0.name)\n" }.joined().utf8)
    }

    static func digest(of bytes: [UInt8]) -> String {
        let hash = SHA256Stream()
        bytes.withUnsafeBytes { hash.update($0) }
        return hash.hexadecimal()
    }
}
