import CLinuxShim
import Glibc
public import LibCrypto
import Permissions

/// The master key's file.
public enum MasterKey {
    /// Why a key file isn't taken.
    public struct Failure: Error, CustomStringConvertible {
        /// What happened and what to do.
        public let description: String
    }

    /// Makes a file of 32 random bytes, mode 0400, whole or not at all, durable with its name. Refuses one that exists.
    public static func create(at path: String) throws -> SecretBytes {
        let temporary = path + ".new"
        // What a crash in an earlier `create` left: no data was ever sealed with it.
        unlink(temporary)
        let key = SecretBytes.random(count: 32)
        let fd = linux_open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o400)
        guard fd >= 0 else { throw Failure(description: whyUnmade(path, -fd)) }
        let isWhole = key.withUnsafeBytes { writeAll(fd, $0) } && fchmod(fd, 0o400) == 0 && sync(fd)
        let code = errno
        close(fd)
        guard isWhole else {
            unlink(temporary)
            throw Failure(description: "\(path): \(reason(code)) while writing the key.")
        }
        let renamed = linux_rename_new(temporary, path)
        guard renamed == 0 else {
            unlink(temporary)
            throw Failure(description: "\(path): \(reason(-renamed)). A key is never overwritten.")
        }
        // Data that is sealed with a key whose name a power cut takes away is lost with it.
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let parent = linux_open(folder, O_RDONLY | O_DIRECTORY, 0)
        defer { if parent >= 0 { close(parent) } }
        guard parent >= 0, sync(parent) else { throw Failure(description: "\(folder): \(reason(errno)) while syncing it.") }
        return key
    }

    private static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = write(fd, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    private static func sync(_ fd: Int32) -> Bool {
        while fsync(fd) != 0 { if errno != EINTR { return false } }
        return true
    }

    /// Reads the key; refuses a file that others may read, or that isn't 32 bytes.
    public static func load(_ path: String) throws -> SecretBytes {
        let fd = linux_open(path, O_RDONLY | O_NOFOLLOW, 0)
        guard fd >= 0 else {
            throw Failure(description: whyUnread(path, -fd))
        }
        defer { close(fd) }
        var info = stat()
        guard fstat(fd, &info) == 0 else { throw Failure(description: "\(path): \(reason(errno)).") }
        guard info.st_mode & 0o377 == 0 else {
            throw Failure(description: "\(path): the mode is looser than 0400. Run `chmod 0400 \(Shell.quoted(path))`.")
        }
        guard info.st_uid == geteuid() || info.st_uid == 0 else {
            let owner = Account.userName(info.st_uid)
            throw Failure(
                description: "\(path): it belongs to \(owner) (uid \(info.st_uid)), and this is \(Account.current().text). "
                    + "Run otpd as its owner: `runuser -u \(owner) -- otpd …`.")
        }
        var count = 0
        let key = SecretBytes(count: 32) { buffer in
            while count < 32 {
                let more = read(fd, buffer.baseAddress.map { $0 + count }, 32 - count)
                if more < 0, errno == EINTR { continue }
                guard more > 0 else { return }
                count += more
            }
        }
        guard count == 32, info.st_size == 32 else {
            throw Failure(description: "\(path): a master key has exactly 32 bytes; this file has \(info.st_size).")
        }
        return key
    }

    private static func whyUnread(_ path: String, _ code: Int32) -> String {
        if code == EACCES, let obstacle = Access.obstacle(path, needs: .read, by: .current()) {
            return "\(path): \(reason(code)): \(obstacle)."
        }
        return "\(path): \(reason(code)). Give the master key that `otpd init` made."
    }

    private static func whyUnmade(_ path: String, _ code: Int32) -> String {
        if code == EACCES || code == ENOENT, let obstacle = Access.obstacle(toMaking: path, by: .current()) {
            return "\(path): \(reason(code)): \(obstacle)."
        }
        return "\(path): \(reason(code))."
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
