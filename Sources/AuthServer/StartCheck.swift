import Glibc
public import Permissions

/// What a start as a given user would meet on this machine: keys, folders, groups, and whether the peers' users reach the sockets. Touches
/// nothing.
public struct StartCheck {
    /// A start would fail by these.
    public private(set) var errors: [String] = []
    /// It would not, but somebody would be kept out.
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

    /// - Parameter account: whom otpd will run as.
    public init(_ settings: ServerSettings, as account: Account) {
        self.settings = settings
        self.account = account
        checkKey()
        checkData()
        for (index, rule) in settings.listeners.enumerated() {
            checkListener(rule, index)
            checkReach(rule, index)
        }
    }

    /// Whose folder it is: otpd runs as nobody else.
    public static func owner(of folder: String) -> Account? {
        var info = stat()
        return stat(folder, &info) == 0 ? Account(uid: info.st_uid) : nil
    }

    private mutating func wrong(_ key: String, _ text: String) { errors.append(settings.place(key, in: "") + text) }

    private var initCommand: String {
        "`otpd init --data \(settings.dataPath) --master-key \(settings.masterKeyPath)` as \(account.name)"
    }

    private mutating func checkKey() {
        let path = settings.masterKeyPath
        if let obstacle = Access.obstacle(path, needs: .read, by: account) { return wrong("master_key", obstacle) }
        var info = stat()
        guard lstat(path, &info) == 0 else {
            return wrong("master_key", "\(path): \(String(cString: strerror(errno))): run \(initCommand)")
        }
        guard info.st_mode & S_IFMT == S_IFREG else { return wrong("master_key", "\(path) isn't a file; links aren't followed") }
        guard info.st_mode & 0o377 == 0 else {
            return wrong("master_key", "\(path): the mode is looser than 0400: `chmod 0400 \(path)`")
        }
        guard info.st_uid == account.uid || info.st_uid == 0 else {
            return wrong("master_key", "\(path) belongs to \(Account.userName(info.st_uid)): `chown \(account.name) \(path)`")
        }
        if info.st_size != 32 { wrong("master_key", "\(path) has \(info.st_size) bytes; a master key has 32") }
    }

    private mutating func checkData() {
        let path = settings.dataPath
        if let obstacle = Access.obstacle(path, needs: .change, by: account) { return wrong("data", obstacle) }
        var info = stat()
        guard stat(path, &info) == 0 else {
            return wrong("data", "\(path): \(String(cString: strerror(errno))): run \(initCommand)")
        }
        guard info.st_mode & S_IFMT == S_IFDIR else { return wrong("data", "\(path) isn't a folder") }
        guard info.st_uid == account.uid else {
            return wrong(
                "data", "\(path) belongs to \(Account.userName(info.st_uid)), and otpd would run as \(account.name): "
                    + "`chown -R \(account.name) \(path)`, or run otpd as its owner")
        }
        if info.st_mode & 0o077 != 0 { wrong("data", "\(path) is open to others: `chmod 0700 \(path)`") }
    }

    private mutating func checkListener(_ rule: ListenerRule, _ index: Int) {
        let place = "listener[\(index)]"
        if let obstacle = Access.obstacle(toMaking: rule.path, by: account) {
            errors.append(settings.place("path", in: place) + obstacle)
        }
        guard let group = rule.group, !account.isRoot, !account.isMember(of: group) else { return }
        let name = Account.groupName(group)
        errors.append(
            settings.place("group", in: place) + "\(account.text) isn't a member, so it can't give the socket to `\(name)`: "
                + "as root, `usermod --append --groups \(name) \(account.name)`")
    }

    /// The socket as it will be, or is, for each peer that may use it.
    private mutating func checkReach(_ rule: ListenerRule, _ index: Int) {
        let group = rule.group ?? account.groups.first ?? 0
        for (number, peer) in settings.peers.enumerated() where rule.serves(peer.tenant) && !peer.roles.isDisjoint(with: rule.roles) {
            guard let uid = peer.uid, uid != 0, uid != account.uid else { continue }
            let place = settings.place(peer.isByName ? "user" : "uid", in: "peer[\(number)]")
            guard let user = Account(uid: uid) else {
                remarks.append(place + "no user of this machine has uid \(uid)")
                continue
            }
            if let obstacle = Access.obstacle(Access.parent(rule.path), needs: .search, by: user) {
                remarks.append(place + obstacle)
            } else if rule.mode & 0o002 == 0, rule.mode & 0o020 == 0 || !user.isMember(of: group) {
                let name = Account.groupName(group)
                remarks.append(
                    place + "\(user.text) can't connect to \(rule.path), which will be \(account.name):\(name) "
                        + "0\(String(rule.mode, radix: 8)): "
                        + (rule.mode & 0o020 == 0
                            ? "write `mode = \"0660\"` in its `[[listener]]`"
                            : rule.group == nil
                                ? "write `group = \"…\"` in its `[[listener]]`: a group of the peers' users and otpd's"
                                : "as root, `usermod --append --groups \(name) \(user.name)`"))
            }
        }
    }
}
