import Glibc
public import Permissions

/// What a start as a given user would meet on this machine: keys, folders, groups, and whether the peers' users reach the sockets. Touches
/// nothing.
public struct StartCheck {
    /// A start would fail by these.
    public private(set) var errors: [String] = []
    /// It would not, but somebody would be kept out, or let in.
    public private(set) var remarks: [String] = []
    private let settings: ServerSettings
    private let account: Account

    /// All errors, and as whom they were found.
    public struct Failure: Error, CustomStringConvertible {
        let errors: [String]
        let account: Account

        public init(errors: [String], account: Account) { (self.errors, self.account) = (errors, account) }

        public var description: String {
            errors.joined(separator: "\n") + "\nChecked as \(account.text); --user names another."
        }
    }

    /// - Parameters:
    ///   - account: whom otpd will run as.
    ///   - file: the configuration, which it must be able to read; `nil` if it has been read.
    public init(_ settings: ServerSettings, as account: Account, file: String? = nil) {
        self.settings = settings
        self.account = account
        if let file, let obstacle = Access.obstacle(file, needs: .read, by: account) { errors.append("\(file): \(obstacle)") }
        checkData()
        checkKey()
        for (index, rule) in settings.listeners.enumerated() {
            checkListener(rule, index)
            checkReach(rule, index)
        }
    }

    /// Whom otpd runs as, when root asks: the owner of its data folder; before `init`, of its key or of what both will stand in, unless
    /// that is root, else the user `otpd`, if there is one.
    public static func user(of settings: ServerSettings) -> Account {
        // Files that root left there by mistake don't make it root's.
        let parents = [settings.dataPath, settings.masterKeyPath].map(Access.parent)
        let isRoots = parents.allSatisfy { owner(of: $0)?.isRoot ?? true }
        if isRoots, let owner = owner(of: settings.dataPath + "/format") { return owner }
        let places = [settings.masterKeyPath, settings.dataPath]
        for path in places + places.map(Access.parent) {
            if let owner = owner(of: path), !owner.isRoot { return owner }
        }
        return Account(named: "otpd") ?? .current()
    }

    private static func owner(of path: String) -> Account? {
        var info = stat()
        return stat(path, &info) == 0 ? Account(uid: info.st_uid) : nil
    }

    private mutating func wrong(_ key: String, _ text: String) { errors.append(settings.place(key, in: "") + text) }

    private func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

    /// `init` makes both: a new key opens no data that is there.
    private var isMade: Bool { access(settings.dataPath + "/format", F_OK) == 0 }

    private var initCommand: String {
        "run `" + (account.uid == geteuid() ? "" : "runuser -u \(account.name) -- ")
            + "otpd init --data \(Shell.quoted(settings.dataPath)) --master-key \(Shell.quoted(settings.masterKeyPath))`"
    }

    // MARK: the key

    private mutating func checkKey() {
        let path = settings.masterKeyPath
        if let obstacle = Access.obstacle(path, needs: .read, by: account) { return wrong("master_key", obstacle) }
        var info = stat()
        guard lstat(path, &info) == 0 else {
            let mending = isMade ? "bring the key back from its backup: a new one can't open the data that is there" : initCommand
            return wrong("master_key", "\(path): \(reason(errno)): \(mending)")
        }
        guard info.st_mode & S_IFMT == S_IFREG else { return wrong("master_key", "\(path) isn't a file; links aren't followed") }
        guard info.st_size == 32 else {
            return wrong("master_key", "\(path) has \(info.st_size) bytes; a master key has 32")
        }
        guard info.st_mode & 0o377 == 0 else {
            return wrong("master_key", "\(path): the mode is looser than 0400: `chmod 0400 \(Shell.quoted(path))`")
        }
        guard info.st_uid == account.uid || info.st_uid == 0 else {
            let command = "`chown \(account.name) \(Shell.quoted(path))`"
            return wrong("master_key", "\(path) belongs to \(Account.userName(info.st_uid)): as root, \(command)")
        }
    }

    // MARK: the data

    private mutating func checkData() {
        let path = settings.dataPath
        var info = stat()
        if stat(path, &info) == 0 {
            guard info.st_mode & S_IFMT == S_IFDIR else { return wrong("data", "\(path) isn't a folder") }
            // Before any word of owners and modes: whatever it is, it isn't otpd's to change.
            guard isMade || errno == EACCES else { return wrong("data", "\(path) isn't an otpd data folder: name one that `otpd init` made") }
        }
        if let foreign = foreignFile(path) {
            let owner = Account.userName(foreign.uid)
            // Another service's folder isn't given away; files that root left in one are given back.
            let mending =
                foreign.uid == 0 && !account.isRoot
                ? "as root, `chown -R \(account.name): \(Shell.quoted(path))`" : "run otpd, and this, as \(owner)"
            return wrong("data", "\(foreign.path) belongs to \(owner), and otpd would run as \(account.name): \(mending)")
        }
        if let obstacle = Access.obstacle(path, needs: .change, by: account) { return wrong("data", obstacle) }
        guard stat(path, &info) == 0 else { return wrong("data", "\(path): \(reason(errno)): \(initCommand)") }
        if info.st_mode & 0o077 != 0 { wrong("data", "\(path) is open to others: `chmod 0700 \(Shell.quoted(path))`") }
    }

    /// The first of the folder and its files that isn't the account's.
    private func foreignFile(_ folder: String) -> (path: String, uid: UInt32)? {
        let names = ["", "/format", "/lock", "/epoch", "/keyring", "/crash-note", "/lmdb", "/lmdb/data.mdb", "/lmdb/lock.mdb", "/journal"]
        for name in names {
            var info = stat()
            if lstat(folder + name, &info) == 0, info.st_uid != account.uid { return (folder + name, info.st_uid) }
        }
        return nil
    }

    // MARK: the sockets

    private mutating func checkListener(_ rule: ListenerRule, _ index: Int) {
        let place = "listener[\(index)]"
        if let obstacle = Access.obstacle(toMaking: rule.path, by: account, group: rule.group) {
            errors.append(settings.place("path", in: place) + obstacle)
        }
        var info = stat()
        if lstat(rule.path, &info) == 0, info.st_mode & S_IFMT != S_IFSOCK {
            let isFolder = info.st_mode & S_IFMT == S_IFDIR
            errors.append(
                settings.place("path", in: place) + "\(rule.path) "
                    + (isFolder ? "is a folder: name a file in it, such as \(rule.path)/otpd.sock" : "is there and isn't a socket: choose another path"))
        }
        guard let group = rule.group, !account.isRoot, !account.isMember(of: group) else { return }
        errors.append(
            settings.place("group", in: place) + "\(account.text) isn't a member, so it can't give the socket to "
                + "`\(Account.groupName(group))`: \(Account.joining(group, account))")
    }

    /// The socket as it will be, or is, for each peer that may use it.
    private mutating func checkReach(_ rule: ListenerRule, _ index: Int) {
        let folder = Access.parent(rule.path)
        var info = stat()
        guard stat(folder, &info) == 0 else { return }
        if info.st_mode & 0o002 != 0 {
            remarks.append(
                settings.place("path", in: "listener[\(index)]") + "everybody may make files in \(folder): another user's socket there could be "
                    + "told phones and codes. Choose a folder that only otpd may write to, such as /run/otpd")
        }
        if let group = rule.group, info.st_gid != group, info.st_mode & 0o001 == 0, info.st_uid == account.uid {
            let (name, quoted) = (Shell.quoted(Account.groupName(group)), Shell.quoted(folder))
            remarks.append(
                settings.place("path", in: "listener[\(index)]") + "the group `\(name)` can't go through \(folder): as root, "
                    + "`chgrp \(name) \(quoted) && chmod 0750 \(quoted)`")
            return
        }
        for (number, peer) in settings.peers.enumerated() where rule.serves(peer.tenant) && !peer.roles.isDisjoint(with: rule.roles) {
            guard let uid = peer.uid, uid != 0, uid != account.uid else { continue }
            let place = settings.place(peer.isByName ? "user" : "uid", in: "peer[\(number)]")
            guard let user = Account(uid: uid) else {
                remarks.append(place + "no user of this machine has uid \(uid)")
                continue
            }
            if let obstacle = Access.obstacle(folder, needs: .search, by: user) {
                remarks.append(place + obstacle)
            } else if let why = whyShut(rule, user) {
                remarks.append(place + why)
            }
        }
    }

    /// What of the socket itself keeps `user` out.
    private func whyShut(_ rule: ListenerRule, _ user: Account) -> String? {
        let group = rule.group ?? account.groups.first ?? 0
        guard rule.mode & 0o002 == 0, rule.mode & 0o020 == 0 || !user.isMember(of: group) else { return nil }
        let mending =
            rule.mode & 0o020 == 0
            ? "write `mode = \"0660\"` in its `[[listener]]`"
            : rule.group == nil
                ? "write `group = \"…\"` in its `[[listener]]`: a group of the peers' users and otpd's" : Account.joining(group, user)
        return "\(user.text) can't connect to \(rule.path), which will be \(account.name):\(Account.groupName(group)) "
            + "0\(String(rule.mode, radix: 8)): \(mending)"
    }
}
