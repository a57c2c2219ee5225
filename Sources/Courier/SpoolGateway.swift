import CLinuxShim
import Glibc
import Permissions
public import Wire

/// One file a message: written beside, synced, renamed; 0600; removed at the code's expiry, also after a restart, because the file says
/// when that is.
public struct SpoolGateway: InstantGateway {
    private let folder: String

    /// Makes the folder (0700) if it isn't there, and removes what expired, or was left half-written, while
    /// nobody looked.
    public init(folder: String, allowPlaintext: Bool, nowWallMs: UInt64) throws(CourierError) {
        try PlaintextConsent.check(allowPlaintext, gateway: "spool")
        self.folder = folder
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw CourierError(
                "\(folder): \(String(cString: strerror(errno))): "
                    + (Access.obstacle(toMaking: folder, by: .current()) ?? "the spool's parent folder must exist"))
        }
        guard access(folder, W_OK | X_OK) == 0 else {
            throw CourierError(
                "\(folder): \(String(cString: strerror(errno))). The courier must be able to write there.")
        }
        sweep { isHalfWritten, end in isHalfWritten || end <= nowWallMs }
    }

    /// `<challenge>-<send>.sms`.
    static func name(_ message: MessagePush) -> String { "\(message.challenge)-\(message.send).sms" }

    public mutating func submit(_ message: MessagePush, expiresAtWallMs: UInt64) -> ReportMessage.Outcome {
        let path = folder + "/" + SpoolGateway.name(message)
        let temporary = path + ".new"
        let text = "To: \(message.phone.text)\nExpires: \(expiresAtWallMs)\n\n\(message.text.text)"
        let fd = linux_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard fd >= 0 else { return .transientFailure }
        let bytes = Array(text.utf8)
        let isWritten =
            fchmod(fd, 0o600) == 0 && write(fd, bytes, bytes.count) == bytes.count && fsync(fd) == 0
        close(fd)
        guard isWritten, rename(temporary, path) == 0 else {
            unlink(temporary)
            return .transientFailure
        }
        return .submitted
    }

    /// Half-written files are left alone: another courier on this folder may be at work on them.
    public mutating func sweep(nowWallMs: UInt64) {
        sweep { isHalfWritten, end in !isHalfWritten && end <= nowWallMs }
    }

    /// Removes those of our files for which `isOver(isHalfWritten, expiry)`. Nobody else's: the folder may be
    /// shared.
    private func sweep(_ isOver: (Bool, UInt64) -> Bool) {
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let isHalfWritten = SpoolGateway.isHalfWritten(name) else { continue }
            let path = folder + "/" + name
            if let end = SpoolGateway.expiry(of: path), isOver(isHalfWritten, end) { unlink(path) }
        }
    }

    /// Whether a file of ours is still (or was left) half-written; `nil` for a name that isn't ours.
    static func isHalfWritten(_ name: String) -> Bool? {
        let isHalf = name.hasSuffix(".sms.new")
        guard isHalf || name.hasSuffix(".sms") else { return nil }
        let parts = name.dropLast(isHalf ? 8 : 4).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, Bytes16(hexadecimal: String(parts[0])) != nil, UInt8(parts[1]) != nil
        else { return nil }
        return isHalf
    }

    /// The second line's number; 0 for a file that doesn't say; `nil` for one that can't be read now.
    static func expiry(of path: String) -> UInt64? {
        let fd = linux_open(path, O_RDONLY | O_NOFOLLOW, 0)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(fd, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
        guard lines.count >= 2, lines[1].hasPrefix("Expires: ") else { return 0 }
        return UInt64(lines[1].dropFirst(9)) ?? 0
    }
}
