import Glibc
import Testing

@testable import Permissions

/// The commands that are printed for an operator who is root: what they would do to a machine.
@Suite struct MendingTests {
    private let otpd = Account(uid: 4_242, groups: [4_242], name: "otpd")

    private func mending(_ path: String, _ mode: mode_t, owner: uid_t = 0, group: gid_t = 0, _ need: Access.Need) -> String {
        var info = stat()
        (info.st_mode, info.st_uid, info.st_gid) = (S_IFDIR | mode, owner, group)
        return Mending(path: path, info: info, account: otpd).text(need)
    }

    /// No folder of the system's or of a person's, however it came into the configuration.
    @Test(arguments: [
        "/", "/run", "/etc", "/tmp", "/root", "/home", "/home/maria", "/var/lib", "/var/run", "/usr/local", "/proc/1", "/dev/shm", "/opt",
        "/usr/local/bin", "/etc/cron.d", "/etc/systemd/system", "/lib/systemd/system", "/var/lib/dpkg", "/var/backups", "/srv/shop",
    ])
    func whatIsNotOurs(_ folder: String) {
        for need in [Access.Need.change, .search] {
            let text = mending(folder, 0o700, need)
            #expect(text.contains("leave it as it is"), "\(text)")
            for word in ["chown", "chmod", "chgrp", "usermod"] { #expect(!text.contains(word), "\(text)") }
        }
        #expect(mending(folder + "/secret", 0o600, .read).contains("chown") == false)
        if Mending.isShared(folder) { #expect(!Access.making(folder, otpd, nil).contains("install")) }
    }

    @Test(arguments: ["/run/otpd", "/etc/otpd", "/var/lib/otpd", "/srv/shop/otpd", "/home/maria/otpd"])
    func whatIs(_ folder: String) {
        #expect(!Mending.isShared(folder))
        #expect(mending(folder, 0o755, .change) == "as root, `chown otpd \(folder) && chmod u+rwx \(folder)`")
        #expect(Access.making(folder, otpd, 77).contains("`install -d -o otpd -g 77 -m 0750 \(folder)`"))
        #expect(Access.making(folder, otpd, 77).contains("tmpfiles") == folder.hasPrefix("/run/"))
    }

    /// A folder that a user keeps to himself may hold a master key.
    @Test func aFolderOfAnothersAlone() {
        let text = mending("/etc/otpd", 0o700, owner: 2, group: 2, .search)
        #expect(text.contains("it is bin's, leave it as it is") && text.contains("/etc/otpd"), "\(text)")
    }

    /// Another service's key isn't given away: who asks is the wrong user.
    @Test func aFileOfAnothers() {
        let text = mending("/etc/otpd/master.key", 0o400, owner: 2, group: 2, .read)
        #expect(text == "it is bin's: run this as bin, or name one of otpd's own")
    }

    @Test func theOwnersOwnBits() {
        #expect(mending("/etc/otpd/master.key", 0, owner: 4_242, .read) == "`chmod u+r /etc/otpd/master.key`")
        #expect(mending("/run/otpd", 0o500, owner: 4_242, .change) == "`chmod u+rwx /run/otpd`")
    }

    @Test(arguments: ["root", "shadow", "disk", "adm", "sudo"])
    func groupsThatAreNoServices(_ group: String) throws {
        let gid = try #require(Account.group(named: group))
        #expect(Mending.joining(gid, otpd) == nil)
        #expect(Account.joining(gid, otpd).contains("groupadd --system otpd-clients"))
        #expect(!mending("/srv/x/y", 0o770, group: gid, .change).contains("usermod"))
    }

    @Test func groupsThatAre() throws {
        let gid = try #require(Account.group(named: "www-data"))
        #expect(
            Mending.joining(gid, otpd) == "as root, `usermod --append --groups www-data otpd`, and start what runs as it again")
        // Already listed, by a process of before.
        let member = try #require(Account(uid: 33))
        let older = Account(uid: 33, groups: [5], name: member.name)
        #expect(Mending.joining(gid, older)?.hasSuffix("start it again") == true)
        #expect(Mending.joining(gid, Account(uid: 4_242, groups: [], name: "4242")) == nil, "a command needs a name")
    }

    @Test(arguments: [
        ("/run/otpd/otpd.sock", "/run/otpd/otpd.sock"), ("/tmp/a b", "'/tmp/a b'"), ("", "''"), ("$HOME", "'$HOME'"),
        ("it's", "'it'\\''s'"), ("a;rm -rf /", "'a;rm -rf /'"), ("é", "'é'"), ("\n", "'\n'"),
    ])
    func wordsForAShell(_ word: String, _ quoted: String) { #expect(Shell.quoted(word) == quoted) }
}
