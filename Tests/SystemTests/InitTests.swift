import Foundation
import Glibc
import Testing

/// `otpd init` and `otpd check-config`.
@Suite struct InitTests {
    private func mode(_ path: String) -> mode_t {
        var info = stat()
        return stat(path, &info) == 0 ? info.st_mode & 0o7777 : 0
    }

    @Test func initMakesAKeyAndAFolderOnce() throws {
        let folder = try TemporaryFolder()
        let (data, key) = (folder.path + "/data", folder.path + "/master.key")
        let first = try Program.otpd.run("init", "--data", data, "--master-key", key, in: folder)
        #expect(first.code == 0, "\(first)")
        #expect(first.out.contains("0400") && first.out.contains(data))
        #expect(mode(key) == 0o400)
        #expect(mode(data) == 0o700)
        let secret = try Data(contentsOf: URL(fileURLWithPath: key))
        #expect(secret.count == 32)
        let files = try FileManager.default.subpathsOfDirectory(atPath: data).sorted()

        let second = try Program.otpd.run("init", "--data", data, "--master-key", key, in: folder)
        #expect(second.code == 1)
        #expect(second.err.hasPrefix("otpd: \(data) exists and is not empty"), "\(second)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: key)) == secret, "a key is never overwritten")
        #expect(try FileManager.default.subpathsOfDirectory(atPath: data).sorted() == files)

        // A second folder may share the key.
        let other = try Program.otpd.run("init", "--data", data + "2", "--master-key", key, in: folder)
        #expect(other.code == 0 && !other.out.contains("made the master key"))
    }

    @Test func initSaysWhyItCanNot() throws {
        let folder = try TemporaryFolder()
        let key = folder.path + "/master.key"
        let places = [
            ("/proc/otpd-data", key), (folder.path + "/none/data", key),
            (folder.path + "/data", "/proc/master.key"),
            (folder.path + "/data", folder.path + "/none/master.key"),
        ]
        for (data, key) in places {
            let outcome = try Program.otpd.run("init", "--data", data, "--master-key", key, in: folder)
            #expect(outcome.code == 1 && outcome.err.hasPrefix("otpd: "), "\(outcome)")
            #expect(outcome.err.contains(data) || outcome.err.contains(key), "\(outcome)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/data"))
        chmod(key, 0o644)
        let loose = try Program.otpd.run(
            "init", "--data", folder.path + "/data", "--master-key", key, in: folder)
        #expect(loose.code == 1 && loose.err.contains("looser than 0400"), "\(loose)")
    }

    @Test func checkConfigJudgesAFile() throws {
        let folder = try TemporaryFolder()
        let text = RealServer.configuration(folder.path, socket: folder.path + "/s")
        let good = try folder.write(text, to: "good.toml")
        let (data, key) = (folder.path + "/data", folder.path + "/master.key")
        let early = try Program.otpd.run("check-config", good, in: folder)
        #expect(early.code == 1 && early.err.contains("good.toml:2: master_key: \(key): No such file"), "\(early)")
        #expect(early.err.contains("good.toml:1: data: \(data): No such file"), "\(early)")
        #expect(early.err.contains("run `otpd init --data \(data) --master-key \(key)`"), "\(early)")
        #expect(!FileManager.default.fileExists(atPath: data), "it touches nothing")
        #expect(try Program.otpd.run("init", "--data", data, "--master-key", key, in: folder).code == 0)
        let ok = try Program.otpd.run("check-config", good, in: folder)
        #expect(ok.code == 0 && ok.out.contains("ok: 1 tenant(s), 1 listener(s), 1 peer(s); checked as user "), "\(ok)")

        let long = "/" + String(repeating: "s", count: 107)
        let broken = [
            (text.replacingOccurrences(of: "issuer =", with: "isuer ="), ":3: isuer: unknown key; did you mean `issuer`?"),
            (text + "\nroless = []", ": peer[0].roless: unknown key; did you mean `roles`?"),
            (
                text.replacingOccurrences(of: "number = 1", with: "number = \"one\""),
                ":6: tenant[0].number: must be"
            ),
            (
                text.replacingOccurrences(of: folder.path + "/s\"", with: long + "\""),
                ": listener[0].path: has 108 bytes"
            ),
            (text.replacingOccurrences(of: "[[peer]]", with: "[[peer]"), ":"),
        ]
        for (number, (text, hint)) in broken.enumerated() {
            let path = try folder.write(text, to: "bad\(number).toml")
            let outcome = try Program.otpd.run("check-config", path, in: folder)
            #expect(outcome.code == 1 && outcome.out.isEmpty, "\(outcome)")
            #expect(outcome.err.hasPrefix("otpd: \(path):") && outcome.err.contains(hint), "\(outcome)")
            // The server itself says the same, and makes nothing.
            let start = try Program.otpd.run("--config", path, in: folder)
            #expect(start.code == 1 && start.err == outcome.err, "\(start)")
        }
        let none = try Program.otpd.run("check-config", folder.path + "/none.toml", in: folder)
        #expect(none.code == 1 && none.err.contains("none.toml: No such file"), "\(none)")
        #expect(try Program.otpd.run("check-config", in: folder).code == 2)
    }
}
