import Glibc

/// Which permission keeps a user from a path, and what mends it. Judged by owners, groups and modes; access control lists are not read.
///
/// The commands touch what is otpd's alone: never a folder of the system's, a privileged group, or a folder that is somebody else's alone.
public enum Access {
    /// Bits as in a mode's last digit.
    public enum Need: UInt32, Sendable {
        case search = 1
        /// Of a socket: to connect.
        case connect = 2
        /// Of a folder: to make files in it.
        case change = 3
        case read = 4

        fileprivate var verb: String {
            switch self {
            case .search: "go through"
            case .connect: "connect to"
            case .change: "make files in"
            case .read: "read"
            }
        }
    }

    /// What keeps `account` from `path`, as a sentence with what to do about it; `nil` if nothing does. A last part that isn't there is no
    /// obstacle.
    public static func obstacle(_ path: String, needs need: Need, by account: Account) -> String? {
        let whole = absolute(path)
        for folder in parents(whole) {
            let found = judge(folder, .search, account) { whyMissing(folder, need) }
            if let found { return found }
        }
        return judge(whole, need, account) { nil }
    }

    /// What keeps `account` from making a file at `path`: a folder that isn't there is an obstacle, too.
    /// - Parameter group: of the folder, if it has to be made; the account's own by default.
    public static func obstacle(toMaking path: String, by account: Account, group: UInt32? = nil) -> String? {
        let folders = parents(absolute(path))
        for (index, folder) in folders.enumerated() {
            let need = index == folders.count - 1 ? Need.change : .search
            let found = judge(folder, need, account) { "the folder \(folder) doesn't exist: \(making(folder, account, group))" }
            if let found { return found }
        }
        return nil
    }

    /// The folder that a path stands in.
    public static func parent(_ path: String) -> String { parents(absolute(path)).last ?? "/" }

    /// The command that makes a folder of the account's own.
    static func making(_ folder: String, _ account: Account, _ group: UInt32?) -> String {
        guard !Mending.isShared(folder) else { return "choose a path in a folder of \(account.name)'s own, such as /run/otpd" }
        let name = Account.groupName(group ?? account.groups.first ?? 0)
        let command = "as root, `install -d -o \(account.name) -g \(name) -m 0750 \(Shell.quoted(folder))`"
        guard folder.hasPrefix("/run/") else { return command }
        return command + ", and a line in /etc/tmpfiles.d, for /run is empty after each boot"
    }

    private static func whyMissing(_ folder: String, _ need: Need) -> String {
        guard need == .connect else { return "the folder \(folder) doesn't exist" }
        return "the folder \(folder), where otpd makes its socket, doesn't exist. If otpd was set up here, the machine was started since: "
            + "as root, `systemd-tmpfiles --create`, and start otpd"
    }

    private static func judge(_ path: String, _ need: Need, _ account: Account, missing: () -> String?) -> String? {
        var info = stat()
        guard stat(path, &info) == 0 else {
            switch errno {
            case ENOENT: return missing()
            case EACCES: return "\(path) can't be looked at by \(Account.current().text): run this as root"
            case let code: return "\(path): \(String(cString: strerror(code)))"
            }
        }
        guard !allows(info, need, account) else { return nil }
        let digits = String(info.st_mode & 0o7777, radix: 8)
        let mode = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        let owners = "\(Account.userName(info.st_uid)):\(Account.groupName(info.st_gid)) \(mode)"
        let mending = Mending(path: path, info: info, account: account)
        return "\(account.text) can't \(need.verb) \(path) (\(owners)): \(mending.text(need))"
    }

    /// As the kernel does: the owner's bits bind the owner, the group's its members, the rest everybody else.
    private static func allows(_ info: stat, _ need: Need, _ account: Account) -> Bool {
        if account.isRoot { return true }
        let shift: UInt32 = info.st_uid == account.uid ? 6 : account.isMember(of: info.st_gid) ? 3 : 0
        return (info.st_mode >> shift) & need.rawValue == need.rawValue
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return String(cString: here) + "/" + path
    }

    /// Of `/a/b/c`: `/`, `/a`, `/a/b`.
    private static func parents(_ path: String) -> [String] {
        var folders = ["/"]
        for part in path.split(separator: "/").dropLast() {
            folders.append((folders.last == "/" ? "" : folders.last ?? "") + "/" + part)
        }
        return folders
    }
}
