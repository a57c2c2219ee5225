import CLinuxShim
import Glibc
import Permissions

/// A bound Unix socket. A stale file is replaced by a rename, so there is no moment without a socket; at the end it is removed only if it is
/// still ours.
final class Listener {
    /// Why a socket couldn't be made.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let rule: ListenerRule
    let descriptor: Int32
    private let inode: UInt64
    private let lock: Int32

    private init(rule: ListenerRule, descriptor: Int32, inode: UInt64, lock: Int32) {
        self.rule = rule
        self.descriptor = descriptor
        self.inode = inode
        self.lock = lock
    }

    /// Binds and listens; on the calling thread, before the loop serves.
    static func start(_ rule: ListenerRule) throws -> Listener {
        guard rule.path.utf8.count <= ListenerRule.maxPathBytes else {
            throw Failure(
                description: "socket path \(rule.path) has \(rule.path.utf8.count) bytes; the kernel allows \(ListenerRule.maxPathBytes). "
                    + "Choose a shorter one, such as /run/otpd/otpd.sock.")
        }
        // Two servers on one path: the lock file decides, never the socket file.
        let lock = linux_open(rule.path + ".lock", O_RDWR | O_CREAT, 0o600)
        guard lock >= 0 else {
            throw Failure(description: whyNoLock(rule.path, rule.group, -lock))
        }
        guard linux_lock_exclusive(lock) == 0 else {
            close(lock)
            throw Failure(description: "another otpd listens at \(rule.path)")
        }
        do { try checkReplaceable(rule.path) } catch {
            close(lock)
            throw error
        }
        // A short name beside it, then a rename over whatever is there.
        let staged = staging(rule.path)
        if staged != rule.path { unlink(staged) } else { unlink(rule.path) }
        let descriptor = linux_listen(staged, Bounds.backlog)
        guard descriptor >= 0 else {
            close(lock)
            throw Failure(description: "\(rule.path): \(String(cString: strerror(-descriptor)))")
        }
        if let group = rule.group, chown(staged, uid_t.max, group) != 0 {
            let reason = whyNoGroup(rule.path, group, errno)
            unlink(staged)
            close(descriptor)
            close(lock)
            throw Failure(description: reason)
        }
        guard chmod(staged, mode_t(rule.mode)) == 0, staged == rule.path || rename(staged, rule.path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(staged)
            close(descriptor)
            close(lock)
            throw Failure(description: "\(rule.path): \(reason)")
        }
        return Listener(rule: rule, descriptor: descriptor, inode: fileIdentity(rule.path), lock: lock)
    }

    private static func whyNoLock(_ path: String, _ group: UInt32?, _ code: Int32) -> String {
        let reason = "\(path).lock: \(String(cString: strerror(code)))"
        if let obstacle = Access.obstacle(toMaking: path, by: .current(), group: group) { return "\(reason): \(obstacle)." }
        return "\(reason). otpd makes it beside the socket, as \(Account.current().text): if another user left it there, as root, "
            + "`rm \(Shell.quoted(path + ".lock"))`."
    }

    private static func whyNoGroup(_ path: String, _ group: UInt32, _ code: Int32) -> String {
        let (name, account) = (Account.groupName(group), Account.current())
        return "\(path): its group can't be set to \(name): \(String(cString: strerror(code))). Only root and members of a group may "
            + "give it, and this is \(account.text): \(Account.joining(group, account))."
    }

    /// Only a socket that nobody listens at is replaced: another program's socket, or a file named by mistake, stays.
    private static func checkReplaceable(_ path: String) throws {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(description: "\(path) exists and is not a socket. Choose another path, or remove it if you are sure.")
        }
        let probe = linux_connect(path)
        guard probe < 0 else {
            close(probe)
            throw Failure(description: "another program listens at \(path). Stop it first, or choose another path.")
        }
    }

    /// A name in the same folder that still fits `sun_path`; the path itself when none does.
    private static func staging(_ path: String) -> String {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        let staged = folder + ".otpd-\(getpid())"
        return staged.utf8.count <= ListenerRule.maxPathBytes ? staged : path
    }

    private static func fileIdentity(_ path: String) -> UInt64 {
        var info = stat()
        return stat(path, &info) == 0 ? UInt64(info.st_ino) : 0
    }

    /// No new connections; the file goes if it is still ours.
    func stop() {
        if Listener.fileIdentity(rule.path) == inode { unlink(rule.path) }
        close(descriptor)
        close(lock)
    }
}
