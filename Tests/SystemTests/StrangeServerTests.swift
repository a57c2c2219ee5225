import Foundation
import Glibc
import Testing

/// A folder that somebody else made, with a server of theirs in it: otpctl finds it there and tells it nothing.
@Suite(.enabled(if: geteuid() == 0)) struct StrangeServerTests {
    private static let other: UInt32 = 12_345
    /// Takes one connection and writes down what it is told.
    private static let script = """
        import os, socket
        s = socket.socket(socket.AF_UNIX); s.bind('s'); os.chmod('s', 0o777); s.listen(); os.rename('s', '.otpd-dev/otpd.sock')
        c, _ = s.accept(); c.settimeout(3)
        try: heard = c.recv(4096)
        except TimeoutError: heard = b''
        open('heard', 'wb').write(heard)
        """

    private func serve(as user: UInt32, in folder: TemporaryFolder) throws -> Process {
        try FileManager.default.createDirectory(atPath: folder.path + "/.otpd-dev", withIntermediateDirectories: false)
        for path in ["", "/.otpd-dev"] { #expect(chown(folder.path + path, user, user) == 0) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
        process.arguments = ["--reuid", "\(user)", "--regid", "\(user)", "--clear-groups", "/usr/bin/python3", "-c", Self.script]
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        try process.run()
        #expect(eventually { FileManager.default.fileExists(atPath: folder.path + "/.otpd-dev/otpd.sock") })
        return process
    }

    private func heard(_ process: Process, in folder: TemporaryFolder) throws -> Int {
        process.waitUntilExit()
        return try Data(contentsOf: URL(fileURLWithPath: folder.path + "/heard")).count
    }

    @Test func isToldNothing() throws {
        let folder = try TemporaryFolder()
        let process = try serve(as: Self.other, in: folder)
        let outcome = try Program.otpctl.run("verify", String(repeating: "0", count: 32), "483920", in: folder)
        #expect(outcome.code == 2 && outcome.err.contains("served by uid 12345"), "\(outcome)")
        #expect(outcome.err.contains("--socket"))
        #expect(try heard(process, in: folder) == 0)
    }

    /// Who names a socket means it, and one's own is asked.
    @Test(arguments: [(other, ["--socket", ".otpd-dev/otpd.sock"]), (0, [])] as [(UInt32, [String])])
    func othersAreAsked(_ user: UInt32, _ arguments: [String]) throws {
        let folder = try TemporaryFolder()
        let process = try serve(as: user, in: folder)
        _ = try Program.otpctl.run(["ping", "--timeout", "1"] + arguments, in: folder)
        #expect(try heard(process, in: folder) > 0)
    }
}
