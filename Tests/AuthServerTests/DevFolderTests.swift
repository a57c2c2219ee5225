import Foundation
import Glibc
import Testing

@testable import AuthServer

/// `--dev` works in a stamped folder and nowhere else.
@Suite struct DevFolderTests {
    @Test func makesAFolderAndKnowsItAgain() throws {
        let parent = try TemporaryFolder()
        let path = parent.path + "/dev"
        let settings = try DevFolder.settings(path)
        #expect(settings.issuer == "dev")
        #expect(settings.listeners.map(\.path) == [path + "/otpd.sock"])
        #expect(settings.peers.map(\.uid) == [geteuid()])
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_mode & 0o777 == 0o700)
        let key = try Data(contentsOf: URL(fileURLWithPath: settings.masterKeyPath))
        let again = try DevFolder.settings(path)
        #expect(try Data(contentsOf: URL(fileURLWithPath: again.masterKeyPath)) == key, "the key is kept")
    }

    @Test func refusesWhatIsNotADevFolder() throws {
        let parent = try TemporaryFolder()
        let folder = parent.path + "/real"
        #expect(mkdir(folder, 0o700) == 0)
        let file = try parent.write("precious", to: "file")
        for path in [folder, file] {
            do {
                _ = try DevFolder.settings(path)
                Issue.record("\(path) was taken")
            } catch {
                #expect("\(error)".contains("\(path) exists and is not an otpd dev folder"), "\(error)")
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty, "nothing was put there")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
    }

    @Test func saysWhyItCanNotBeMade() throws {
        do {
            _ = try DevFolder.settings("/proc/otpd-dev")
            Issue.record("a folder was made in /proc")
        } catch { #expect("\(error)".hasPrefix("/proc/otpd-dev: "), "\(error)") }
    }
}
