import Glibc

/// Which permission keeps a user from a path, and the command that mends it. Judged by owners, groups and modes; access control lists are not
/// read.
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
            if let found = judge(folder, .search, account, isLast: false) { return found }
        }
        return judge(whole, need, account, isLast: true)
    }

    /// What keeps `account` from making a file at `path`: a folder that isn't there is an obstacle, too.
    public static func obstacle(toMaking path: String, by account: Account) -> String? {
        let folders = parents(absolute(path))
        for (index, folder) in folders.enumerated() {
            let need = index == folders.count - 1 ? Need.change : .search
            if let found = judge(folder, need, account, isLast: false) { return found }
        }
        return nil
    }

    /// The folder that a path stands in.
    public static func parent(_ path: String) -> String { parents(absolute(path)).last ?? "/" }

    private static func judge(_ path: String, _ need: Need, _ account: Account, isLast: Bool) -> String? {
        var info = stat()
        guard stat(path, &info) == 0 else {
            let code = errno
            if code == EACCES { return "\(path) can't be looked at by \(Account.current().text): run this as root" }
            guard code == ENOENT, !isLast else { return nil }
            let group = Account.groupName(account.groups.first ?? 0)
            return "the folder \(path) doesn't exist: as root, `install -d -o \(account.name) -g \(group) -m 0750 \(path)`"
        }
        guard !allows(info, need, account) else { return nil }
        let mode = String(info.st_mode & 0o7777, radix: 8)
        let owners = "\(Account.userName(info.st_uid)):\(Account.groupName(info.st_gid)) 0\(mode)"
        return "\(account.text) can't \(need.verb) \(path) (\(owners)): \(mend(path, info, need, account))"
    }

    /// As the kernel does: the owner's bits bind the owner, the group's its members, the rest everybody else.
    private static func allows(_ info: stat, _ need: Need, _ account: Account) -> Bool {
        if account.isRoot { return true }
        let shift: UInt32 = info.st_uid == account.uid ? 6 : account.isMember(of: info.st_gid) ? 3 : 0
        return (info.st_mode >> shift) & need.rawValue == need.rawValue
    }

    private static func mend(_ path: String, _ info: stat, _ need: Need, _ account: Account) -> String {
        let primary = Account.groupName(account.groups.first ?? 0)
        if info.st_gid != 0, (info.st_mode >> 3) & need.rawValue == need.rawValue, info.st_uid != account.uid,
            !account.isMember(of: info.st_gid)
        {
            return "as root, `usermod --append --groups \(Account.groupName(info.st_gid)) \(account.name)`, and start "
                + "what runs as it again"
        }
        switch need {
        case .read: return "as root, `chown \(account.name) \(path)`"
        case .change: return "as root, `chown \(account.name) \(path) && chmod u+rwx \(path)`"
        case .search: return "as root, `chgrp \(primary) \(path) && chmod g+x \(path)`"
        case .connect:
            return "give its `[[listener]]` a `group` of which \(account.name) is a member, with `mode = \"0660\"`, and "
                + "start otpd again"
        }
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
