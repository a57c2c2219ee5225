import Foundation
import Glibc
import Testing

/// Starts that must be refused, each with a message that says what to do, and nothing changed.
@Suite struct StartTests {
    private func replace(_ path: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    @Test func aSecondInstanceIsRefusedAndTheFirstGoesOn() throws {
        let server = try RealServer()
        let first = try server.start()
        // The same data behind another socket: the data folder's lock decides.
        let other = RealServer.configuration(server.folder.path, socket: server.folder.path + "/other")
        _ = try server.folder.write(other, to: "other.toml")
        let second = try server.failedStart(config: "other.toml")
        #expect(second.code == 1)
        #expect(
            second.err.contains("otpd: \(server.data) is in use by another otpd. Stop that one first"),
            "\(second)")
        #expect(!FileManager.default.fileExists(atPath: server.folder.path + "/other"))
        #expect(try Program.otpctl.run("ping", "--socket", server.socket, in: server.folder).code == 0)
        kill(first.processIdentifier, SIGTERM)
        #expect(try end(of: first, seconds: 5) == 0)
        #expect(!FileManager.default.fileExists(atPath: server.socket))
        _ = try server.start()
    }

    @Test func anotherServersSocketIsRefused() throws {
        let (server, intruder) = (try RealServer(), try RealServer())
        _ = try server.start()
        let text = RealServer.configuration(intruder.folder.path, socket: server.socket)
        _ = try intruder.folder.write(text, to: "otpd.toml")
        let outcome = try intruder.failedStart()
        #expect(outcome.code == 1)
        #expect(outcome.err.contains("another otpd listens at \(server.socket)"), "\(outcome)")
        #expect(try Program.otpctl.run("ping", "--socket", server.socket, in: server.folder).code == 0)
    }

    @Test func aStaleSocketFileIsReplaced() throws {
        let server = try RealServer()
        let first = try server.start()
        kill(first.processIdentifier, SIGKILL)
        #expect(try end(of: first, seconds: 5) == 128 + SIGKILL)
        #expect(FileManager.default.fileExists(atPath: server.socket), "kill -9 leaves the file")
        _ = try server.start()
        #expect(try Program.otpctl.run("ping", "--socket", server.socket, in: server.folder).code == 0)
    }

    @Test func aNewerFormatIsRefused() throws {
        let server = try RealServer()
        let path = server.data + "/format"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try replace(path, text.replacingOccurrences(of: "otpd-store 1", with: "otpd-store 2"))
        let outcome = try server.failedStart()
        #expect(outcome.code == 1)
        #expect(outcome.err.contains("has format `otpd-store 2`, which this otpd doesn't know"), "\(outcome)")
        try replace(path, text)
        _ = try server.start()
    }

    @Test func aDataFolderThatCanNotBeUsedIsNamed() throws {
        let server = try RealServer()
        let files = FileManager.default
        try files.moveItem(atPath: server.data, toPath: server.data + ".kept")
        let missing = try server.failedStart()
        #expect(
            missing.code == 1 && missing.err.contains("\(server.data) is not an otpd data folder"),
            "\(missing)")
        // A file in its place: no user, root neither, can write into it.
        try replace(server.data, "not a folder")
        let file = try server.failedStart()
        #expect(file.code == 1 && file.err.contains(server.data), "\(file)")
        #expect(try String(contentsOfFile: server.data, encoding: .utf8) == "not a folder")
        try files.removeItem(atPath: server.data)
        // A folder without its journal folder.
        try files.copyItem(atPath: server.data + ".kept", toPath: server.data)
        try files.removeItem(atPath: server.data + "/journal")
        let partial = try server.failedStart()
        #expect(partial.code == 1 && partial.err.contains("\(server.data)/journal"), "\(partial)")
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
    func aFolderWithoutWritePermissionIsNamed() throws {
        let server = try RealServer()
        chmod(server.data, 0o500)
        chmod(server.data + "/journal", 0o500)
        defer {
            chmod(server.data, 0o700)
            chmod(server.data + "/journal", 0o700)
        }
        let outcome = try server.failedStart()
        #expect(outcome.code == 1 && outcome.err.contains(server.data), "\(outcome)")
    }

    @Test func theMasterKeyMustBeTheRightOne() throws {
        let server = try RealServer()
        let key = server.folder.path + "/master.key"
        let secret = try Data(contentsOf: URL(fileURLWithPath: key))
        chmod(key, 0o440)
        let loose = try server.failedStart()
        #expect(loose.code == 1 && loose.err.contains("chmod 0400"), "\(loose)")
        unlink(key)
        let none = try server.failedStart()
        #expect(none.code == 1 && none.err.contains("master.key: No such file"), "\(none)")
        try Data(secret.reversed()).write(to: URL(fileURLWithPath: key))
        chmod(key, 0o400)
        let other = try server.failedStart()
        #expect(other.code == 1 && other.err.contains("The master key doesn't fit"), "\(other)")
    }
}
