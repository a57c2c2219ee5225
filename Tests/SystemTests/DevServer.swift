import Foundation
import Glibc

/// A real `otpd --dev` in a temp working directory, and otpctl beside it.
final class DevServer {
    let folder: TemporaryFolder
    private let courier: String
    private var process: Process

    var pid: Int32 { process.processIdentifier }
    var socket: String { folder.path + "/.otpd-dev/otpd.sock" }

    init(courier: String = "spool") throws {
        folder = try TemporaryFolder()
        self.courier = courier
        process = try Program.otpd.start(["--dev", "--courier", courier], in: folder, log: "otpd")
        try awaitReady()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    private func awaitReady() throws {
        let isReady = try eventually(seconds: 20) {
            guard process.isRunning else { throw TestError("otpd ended:\n\(try log(".err"))") }
            do {
                _ = try Peer(socket)
                return true
            } catch { return false }
        }
        guard isReady else { throw TestError("otpd didn't listen:\n\(try log(".err"))") }
    }

    /// What it has printed so far.
    func log(_ suffix: String) throws -> String {
        try String(contentsOfFile: folder.path + "/otpd" + suffix, encoding: .utf8)
    }

    /// The exit code after a signal, and how long it took.
    func stop(_ signal: Int32 = SIGTERM) throws -> (code: Int32, duration: Duration) {
        let start = ContinuousClock.now
        kill(process.processIdentifier, signal)
        let code = try end(of: process, seconds: 10)
        return (code, ContinuousClock.now - start)
    }

    /// The exit code when it ends by itself.
    func ended() throws -> Int32 { try end(of: process, seconds: 10) }

    func startAgain(_ flags: String...) throws {
        process = try Program.otpd.start(["--dev", "--courier", courier] + flags, in: folder, log: "otpd")
        try awaitReady()
    }

    func ctl(_ arguments: String...) throws -> Outcome { try Program.otpctl.run(arguments, in: folder) }

    /// Runs otpctl as text, and once more with `--json`; for commands that may be repeated.
    func both(_ arguments: String...) throws -> (text: Outcome, json: Outcome) {
        (
            try Program.otpctl.run(arguments, in: folder),
            try Program.otpctl.run(arguments + ["--json"], in: folder)
        )
    }

    /// A new challenge, as `otpctl request` tells it.
    func request(account: String, phone: String) throws -> String {
        let outcome = try ctl("request", "--account", account, "--phone", phone)
        guard outcome.code == 0 else { throw TestError("request: \(outcome)") }
        return try outcome.field("challenge")
    }

    /// The code that the spool courier wrote for a challenge.
    func code(_ challenge: String, send: Int = 1) throws -> String {
        let path = folder.path + "/.otpd-dev/spool/\(challenge)-\(send).sms"
        guard eventually({ FileManager.default.fileExists(atPath: path) }) else {
            throw TestError("no \(path)")
        }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        guard let body = text.components(separatedBy: "\n\n").dropFirst().first else {
            throw TestError("no body")
        }
        return String(body.prefix { $0 != " " })
    }
}

/// Another code of the same form.
func wrongCode(for right: String) -> String {
    String(right.map { digit in Character(String(((digit.wholeNumberValue ?? 0) + 1) % 10)) })
}
