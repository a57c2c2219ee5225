import CLinuxShim
import Glibc
import Permissions

/// A password that stands in a file of its own: arguments and environments are seen by others.
package enum SecretFile {
    /// The file's first line.
    package static func read(_ path: String) throws(ConfigError) -> [UInt8] {
        let fd = linux_open(path, O_RDONLY | O_NOFOLLOW, 0)
        guard fd >= 0 else {
            let mending = Access.obstacle(path, needs: .read, by: .current())
            throw ConfigError(
                description: "\(path): \(String(cString: strerror(-fd))): "
                    + (mending ?? "give a file (no link) that holds the password alone"))
        }
        defer { close(fd) }
        var status = stat()
        guard fstat(fd, &status) == 0 else {
            throw ConfigError(description: "\(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ConfigError(description: "\(path) isn't a file: give one that holds the password alone")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw ConfigError(
                description: "\(path) holds a password and others may read it: `chmod 0400 \(Shell.quoted(path))`")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            let owner = Account.userName(status.st_uid)
            throw ConfigError(
                description: "\(path) belongs to \(owner), who can read the password, and this is "
                    + "\(Account.current().name): run this as its owner, `runuser -u \(owner) -- …`")
        }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(fd, &bytes, bytes.count)
        guard count >= 0 else { throw ConfigError(description: "\(path): \(String(cString: strerror(errno)))") }
        guard count < bytes.count else {
            throw ConfigError(description: "\(path) has more than 255 bytes: it must hold the password alone")
        }
        return Array(bytes.prefix(count).prefix { $0 != 0x0A && $0 != 0x0D })
    }
}
