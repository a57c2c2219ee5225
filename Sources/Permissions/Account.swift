import Glibc

/// A user of the machine, with all that the kernel judges access by.
public struct Account: Sendable {
    public let uid: UInt32
    /// The primary one first.
    public let groups: [UInt32]
    public let name: String

    /// Who runs this process.
    public static func current() -> Account {
        var others = [gid_t](repeating: 0, count: 1_024)
        let count = getgroups(Int32(others.count), &others)
        let uid = geteuid()
        return Account(uid: uid, groups: [getegid()] + others.prefix(max(0, Int(count))), name: userName(uid))
    }

    /// From the machine's user list; `nil` if nobody has this name.
    public init?(named name: String) {
        guard let entry = getpwnam(name) else { return nil }
        self.init(uid: entry.pointee.pw_uid, primary: entry.pointee.pw_gid, name: name)
    }

    /// From the machine's user list; `nil` if nobody has this uid.
    public init?(uid: UInt32) {
        guard let entry = getpwuid(uid) else { return nil }
        self.init(uid: uid, primary: entry.pointee.pw_gid, name: String(cString: entry.pointee.pw_name))
    }

    private init(uid: UInt32, primary: UInt32, name: String) {
        var found = [gid_t](repeating: 0, count: 1_024)
        var count = Int32(found.count)
        _ = getgrouplist(name, primary, &found, &count)
        let others = found.prefix(max(0, min(Int(count), found.count))).filter { $0 != primary }
        self.init(uid: uid, groups: [primary] + others, name: name)
    }

    /// Given in full.
    public init(uid: UInt32, groups: [UInt32], name: String) {
        (self.uid, self.groups, self.name) = (uid, groups, name)
    }

    public var isRoot: Bool { uid == 0 }

    /// Whether the machine's user list has it: commands name users.
    public var hasName: Bool { UInt32(name) == nil }

    /// How `account` becomes a member of a group, as a sentence.
    public static func joining(_ group: UInt32, _ account: Account) -> String {
        Mending.joining(group, account)
            ?? "`\(groupName(group))` is none to give to a service: as root, `groupadd --system otpd-clients`, and name that one"
    }

    public func isMember(of group: UInt32) -> Bool { groups.contains(group) }

    /// `user otpd (uid 990; groups otpd, otpd-clients)`.
    public var text: String {
        var names: [String] = []
        for group in groups.map(Account.groupName) where !names.contains(group) { names.append(group) }
        return "user \(name) (uid \(uid); groups \(names.joined(separator: ", ")))"
    }

    public static func groupName(_ gid: UInt32) -> String {
        getgrgid(gid).map { String(cString: $0.pointee.gr_name) } ?? String(gid)
    }

    public static func userName(_ uid: UInt32) -> String {
        getpwuid(uid).map { String(cString: $0.pointee.pw_name) } ?? String(uid)
    }

    /// The gid of a group; `nil` if there is none of this name.
    public static func group(named name: String) -> UInt32? { getgrnam(name).map { $0.pointee.gr_gid } }
}
