import Foundation
import Glibc
import Permissions
import Testing

@testable import AuthServer

/// Who is kept out, by what, and the command that lets them in.
@Suite struct AccessTests {
    private let stranger = Account(uid: 4_242, groups: [4_242], name: "stranger")

    /// Below a folder that everybody may go through, as TMPDIR need not be.
    private func tree() throws -> TemporaryFolder {
        let folder = try TemporaryFolder(in: "/var/tmp")
        chmod(folder.path, 0o755)
        guard mkdir(folder.path + "/in", 0o755) == 0 else { throw TestError("mkdir") }
        _ = try folder.write("x", to: "in/file")
        return folder
    }

    @Test func theFolderThatStopsIsNamed() throws {
        let folder = try tree()
        #expect(Access.obstacle(folder.path + "/in/none", needs: .search, by: stranger) == nil)
        chmod(folder.path + "/in", 0o700)
        let found = try #require(Access.obstacle(folder.path + "/in/file", needs: .read, by: stranger))
        #expect(found.hasPrefix("user stranger (uid 4242; groups 4242) can't go through \(folder.path)/in ("), "\(found)")
        #expect(found.hasSuffix("as root, `chgrp 4242 \(folder.path)/in && chmod g+x \(folder.path)/in`"), "\(found)")
        #expect(Access.obstacle(folder.path + "/in/file", needs: .read, by: Account(uid: 0, groups: [0], name: "root")) == nil)
        let none = try #require(Access.obstacle(toMaking: folder.path + "/none/file", by: stranger, group: 33))
        #expect(none.contains("`install -d -o stranger -g www-data -m 0750 \(folder.path)/none`"), "\(none)")
        let socket = try #require(Access.obstacle(folder.path + "/none/s", needs: .connect, by: stranger))
        #expect(socket.contains("`systemd-tmpfiles --create`") && !socket.contains("install"), "\(socket)")
    }

    /// The owner's bits bind the owner, the group's its members: a wider digit further right doesn't help them.
    @Test func oneDigitOfTheModeCounts() throws {
        let folder = try tree()
        let file = folder.path + "/in/file"
        guard chown(file, 4_242, 77) == 0 else { return }
        chmod(file, 0o044)
        #expect(Access.obstacle(file, needs: .read, by: stranger) != nil)
        #expect(Access.obstacle(file, needs: .read, by: Account(uid: 5, groups: [5, 77], name: "member")) == nil)
        chmod(file, 0o440)
        let found = try #require(Access.obstacle(file, needs: .read, by: Account(uid: 5, groups: [5], name: "five")))
        #expect(found.contains("`usermod --append --groups 77 five`"), "\(found)")
    }

    @Test func whatAStartWouldMeet() throws {
        let folder = try tree()
        let text = """
            data = "\(folder.path)/in/data"
            master_key = "\(folder.path)/in/master.key"
            issuer = "shop.example"
            [[tenant]]
            number = 1
            name = "shop"
            [[listener]]
            path = "\(folder.path)/in/s"
            group = "www-data"
            [[peer]]
            uid = 2
            tenant = 1
            roles = ["verify"]
            """
        let settings = try Config.parse(text, name: "otpd.toml")
        _ = try MasterKey.create(at: folder.path + "/in/master.key")
        let check = StartCheck(settings, as: stranger)
        #expect(check.errors.count == 4, "\(check.errors)")
        for (error, prefix) in zip(
            check.errors, ["otpd.toml:1: data: ", "otpd.toml:2: master_key: user stranger", "otpd.toml:8: listener[0].path: ", "otpd.toml:9: listener[0].group: "])
        {
            #expect(error.hasPrefix(prefix), "\(error)")
        }
        #expect(check.errors.last?.contains("usermod --append --groups www-data stranger") ?? false)
        #expect(check.remarks.contains { $0.hasPrefix("otpd.toml:11: peer[0].uid: user bin (") }, "\(check.remarks)")
    }
}
