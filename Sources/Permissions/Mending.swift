import Glibc

/// What to do about a path that somebody may not use.
struct Mending {
    let path: String
    let info: stat
    let account: Account

    /// Folders that belong to the system or to a person: whatever is put there by mistake has to move, not they.
    private static let system: Set<String> = [
        "/etc/ssl", "/etc/default", "/run/lock", "/run/user", "/usr/bin", "/usr/lib", "/usr/local", "/usr/share", "/var/cache", "/var/lib",
        "/var/lock", "/var/log", "/var/mail", "/var/run", "/var/spool", "/var/tmp",
    ]

    /// Whether a folder is anybody's but a service's.
    static func isShared(_ folder: String) -> Bool {
        let parts = folder.split(separator: "/")
        guard parts.count > 1, let first = parts.first else { return true }
        if ["proc", "sys", "dev", "boot"].contains(first) || (first == "home" && parts.count == 2) { return true }
        return system.contains("/" + parts.joined(separator: "/"))
    }

    /// Groups whose members may do more than read a socket.
    private static let privileged: Set<String> = [
        "root", "adm", "daemon", "disk", "docker", "kmem", "lxd", "shadow", "staff", "sudo", "sys", "systemd-journal", "tty", "wheel",
    ]

    /// The command that makes `account` a member, or what stands against it.
    static func joining(_ gid: UInt32, _ account: Account) -> String? {
        let group = Account.groupName(gid)
        guard !privileged.contains(group), account.hasName else { return nil }
        if let listed = Account(named: account.name), listed.isMember(of: gid) {
            return "\(account.name) is a member of \(group) since this process was started: start it again"
        }
        return "as root, `usermod --append --groups \(Shell.quoted(group)) \(Shell.quoted(account.name))`, and start what runs as it again"
    }

    func text(_ need: Access.Need) -> String {
        let quoted = Shell.quoted(path)
        if info.st_uid == account.uid {
            let bits = need == .read ? "u+r" : need == .search ? "u+x" : "u+rwx"
            return "`chmod \(bits) \(quoted)`"
        }
        if (info.st_mode >> 3) & need.rawValue == need.rawValue, !account.isMember(of: info.st_gid),
            let joining = Mending.joining(info.st_gid, account)
        {
            return joining
        }
        if need == .connect {
            return "give its `[[listener]]` a `group` of which \(account.name) is a member, with `mode = \"0660\"`, and start otpd again"
        }
        guard isOurs(need) else { return elsewhere(need) }
        switch need {
        case .read: return "as root, `chown \(account.name) \(quoted)`"
        case .change: return "as root, `chown \(account.name) \(quoted) && chmod u+rwx \(quoted)`"
        case .search, .connect:
            let group = Shell.quoted(Account.groupName(account.groups.first ?? 0))
            return "as root, `chgrp \(group) \(quoted) && chmod g+x \(quoted)`"
        }
    }

    /// Whether changing it harms nobody: what lies in a folder that is named for otpd or the account, and belongs to root or, if
    /// others may look into it, to somebody else.
    private func isOurs(_ need: Access.Need) -> Bool {
        let folder = need == .read ? Access.parent(path) : path
        guard !Mending.isShared(folder), account.hasName else { return false }
        guard folder.split(separator: "/").contains(where: { $0.hasPrefix("otp") || $0 == account.name }) else { return false }
        return info.st_uid == 0 || (need != .read && info.st_mode & 0o077 != 0)
    }

    private func elsewhere(_ need: Access.Need) -> String {
        let owner = Account.userName(info.st_uid)
        if info.st_uid != 0, need != .search { return "it is \(owner)'s: run this as \(owner), or name one of \(account.name)'s own" }
        let isDeep = !["proc", "sys", "dev", "boot"].contains(path.split(separator: "/").first ?? "dev")
        let example = need == .change && isDeep ? "\(path)/\(account.name)" : "/etc/\(account.name)"
        let other = info.st_uid == 0 ? "" : "run this as \(owner), or "
        let wish = "it is \(owner)'s, leave it as it is: \(other)choose a path in a folder of \(account.name)'s own"
        guard need == .change, isDeep, account.hasName else { return "\(wish), such as \(example)" }
        let group = Shell.quoted(Account.groupName(account.groups.first ?? 0))
        return "\(wish): as root, `install -d -o \(account.name) -g \(group) -m 0700 \(Shell.quoted(example))`, and a path in that"
    }
}
