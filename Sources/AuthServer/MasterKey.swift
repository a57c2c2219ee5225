import CLinuxShim
import Glibc
public import LibCrypto

/// The master key's file.
public enum MasterKey {
    /// Why a key file isn't taken.
    public struct Failure: Error, CustomStringConvertible {
        /// What happened and what to do.
        public let description: String
    }

    /// Makes a file of 32 random bytes, mode 0400, durable. Refuses one that exists.
    public static func create(at path: String) throws -> SecretBytes {
        let fd = linux_open(path, O_WRONLY | O_CREAT | O_EXCL, 0o400)
        guard fd >= 0 else { throw Failure(description: "\(path): \(reason(-fd)). A key is never overwritten.") }
        defer { close(fd) }
        let key = SecretBytes.random(count: 32)
        let written = key.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
        guard written == 32, fchmod(fd, 0o400) == 0, fsync(fd) == 0 else {
            throw Failure(description: "\(path): \(reason(errno)) while writing the key.")
        }
        return key
    }

    /// Reads the key; refuses a file that others may read, or that isn't 32 bytes.
    public static func load(_ path: String) throws -> SecretBytes {
        let fd = linux_open(path, O_RDONLY | O_NOFOLLOW, 0)
        guard fd >= 0 else {
            throw Failure(description: "\(path): \(reason(-fd)). Give the master key that `otpd init` made.")
        }
        defer { close(fd) }
        var info = stat()
        guard fstat(fd, &info) == 0 else { throw Failure(description: "\(path): \(reason(errno)).") }
        guard info.st_mode & 0o377 == 0 else {
            throw Failure(description: "\(path): the mode is looser than 0400. Run `chmod 0400 \(path)`.")
        }
        guard info.st_uid == geteuid() || info.st_uid == 0 else {
            throw Failure(description: "\(path): it belongs to uid \(info.st_uid), not to otpd's user.")
        }
        var count = 0
        let key = SecretBytes(count: 32) { buffer in count = read(fd, buffer.baseAddress, 32) }
        guard count == 32, info.st_size == 32 else {
            throw Failure(description: "\(path): a master key has exactly 32 bytes; this file has \(info.st_size).")
        }
        return key
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
