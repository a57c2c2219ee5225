import Foundation
import Glibc
import Testing

/// A program that crashes shows nothing of its memory, whoever started it and whatever the environment says to Swift's backtracer.
@Suite(.serialized) struct CrashTests {
    /// Ways to crash: accesses, and a trap of Swift's own on ARM and on x86.
    static let signals = [SIGSEGV, SIGBUS, SIGTRAP, SIGILL]
    private static let backtrace = "enable=yes,output-to=stderr,color=no,interactive=no,timeout=10s"

    /// Cores are for whoever may have them.
    private func allowCores() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(UInt32(4)), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(UInt32(4)), &limit)
    }

    /// Crashes `process` once it is up; gives back what it had said.
    private func crash(_ process: Process, _ signal: Int32, in folder: TemporaryFolder, log: String) throws -> String {
        let limits = try String(contentsOfFile: "/proc/\(process.processIdentifier)/limits", encoding: .utf8)
        let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") } ?? ""
        #expect(core.split(separator: " ").suffix(3).first == "0", "a core may be written: \(core)")
        kill(process.processIdentifier, signal)
        let code = try end(of: process, seconds: 30)
        #expect(code == 128 + signal, "signal \(signal) ended it with \(code)")
        return try [".out", ".err"].map { try String(contentsOfFile: folder.path + "/" + log + $0, encoding: .utf8) }.joined()
    }

    private func isSilent(_ text: String, _ program: Program) {
        for word in ["crashed", "Backtrace", "Registers", "Images", "rip", "0x00"] {
            #expect(!text.contains(word), "\(program.rawValue) says `\(word)`: \(text)")
        }
    }

    /// Waits until the program is beyond `main`'s first lines.
    private func started(_ process: Process) throws {
        let isUp = try eventually {
            guard process.isRunning else { throw TestError("\(process.arguments ?? []) ended") }
            let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/limits", encoding: .utf8)
            return status.contains(#/Max core file size +0 /#)
        }
        #expect(isUp, "no core limit within 10 s")
        usleep(100_000)
    }

    @Test(arguments: signals) func aServerThatKnewACode(_ signal: Int32) throws {
        allowCores()
        let folder = try TemporaryFolder()
        let process = try Program.otpd.start(
            ["--dev", "--courier", "spool"], in: folder, log: "otpd", backtrace: Self.backtrace)
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let socket = folder.path + "/.otpd-dev/otpd.sock"
        #expect(eventually(seconds: 20) { (try? Peer(socket)) != nil })
        let asked = try Program.otpctl.run("request", "--account", "a", "--phone", "+33612345678", in: folder)
        let file = try folder.path + "/.otpd-dev/spool/\(asked.field("challenge"))-1.sms"
        #expect(eventually { FileManager.default.fileExists(atPath: file) })
        let sms = try String(contentsOfFile: file, encoding: .utf8).components(separatedBy: "\n\n")
        let code = String(sms[1].prefix { $0 != " " })
        #expect(code.count == 6)
        let said = try crash(process, signal, in: folder, log: "otpd")
        isSilent(said, .otpd)
        #expect(!said.contains(code), "the log has the code")
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(!left.contains { $0.hasPrefix("core") }, "\(left)")
    }

    @Test(arguments: signals) func theOtherPrograms(_ signal: Int32) throws {
        allowCores()
        let server = try DevServer()
        let folder = server.folder
        _ = try folder.write("a token of sixteen", to: "token")
        chmod(folder.path + "/token", 0o600)
        let receipts = try folder.write(
            """
            socket = "\(server.socket)"
            listen = "\(folder.path)/receipts.sock"
            [[receipts]]
            gateway = "kannel"
            path = "/k"
            vendor = "kannel"
            secret_file = "\(folder.path)/token"
            """, to: "receipts.toml")
        let programs: [(Program, [String])] = [
            (.courier, ["spool", "--socket", server.socket, "--directory", folder.path + "/other", "--allow-plaintext"]),
            (.courier, ["console", "--socket", server.socket, "--allow-plaintext"]),
            (.receipts, ["--config", receipts]),
            (.otpctl, ["events", "--socket", server.socket, "--follow"]),
        ]
        for (program, arguments) in programs {
            let log = UUID().uuidString
            let process = try program.start(arguments, in: folder, log: log, backtrace: Self.backtrace)
            defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
            try started(process)
            isSilent(try crash(process, signal, in: folder, log: log), program)
        }
    }
}
