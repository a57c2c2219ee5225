import Foundation
import Glibc
import Testing

/// The programs' command lines: help, versions, wrong usage.
@Suite struct CommandLineTests {
    @Test func eachProgramExplainsItself() throws {
        let folder = try TemporaryFolder()
        for program in Program.allCases {
            let help = try program.run("--help", in: folder)
            #expect(help.code == 0)
            #expect(help.out.contains("USAGE: \(program.rawValue)"), "\(help)")
            let version = try program.run("--version", in: folder)
            #expect(version.code == 0 && version.out.hasPrefix("\(program.rawValue) 0."), "\(version)")
        }
        for command in [
            "ping", "request", "resend", "verify", "cancel", "status", "quota", "grant", "events", "stats",
            "drain", "template", "message", "routes", "backup",
        ] {
            #expect(try Program.otpctl.run(command, "--help", in: folder).code == 0, "\(command)")
        }
        #expect(try Program.otpctl.run("--help", in: folder).out.contains("Exit codes"))
    }

    @Test func anUnknownOptionIsNamed() throws {
        let folder = try TemporaryFolder()
        for (program, arguments, code) in [
            (Program.otpd, ["--nope"], Int32(2)), (.otpctl, ["ping", "--nope"], 2),
            (.courier, ["console", "--socket", "s", "--nope"], 2),
        ] {
            let outcome = try program.run(arguments, in: folder)
            #expect(outcome.code == code, "\(program): \(outcome)")
            #expect(outcome.err.contains("Unknown option '--nope'"), "\(outcome)")
        }
    }

    @Test func otpctlExits2ForWrongUsage() throws {
        let folder = try TemporaryFolder()
        for arguments in [
            ["nonsense"], ["request"], ["request", "--account", "a"], ["verify", "abc", "123456"],
            ["status", "zz"], ["grant", "check", "00", "--account", "a"],
            ["request", "--account", "a", "--phone", "+33612345678", "--purpose", "lunch"],
            ["request", "--account", "a", "--phone", "+33612345678", "--assurance", "some"],
            ["resend", String(repeating: "a", count: 32), "--request-id", String(repeating: "0", count: 32)],
            ["ping", "--timeout", "soon"], ["events", "--from", "yesterday"],
        ] {
            let outcome = try Program.otpctl.run(arguments, in: folder)
            #expect(outcome.code == 2, "\(arguments): \(outcome)")
            #expect(outcome.err.contains("Error: ") && outcome.out.isEmpty, "\(arguments): \(outcome)")
            let subcommand = arguments[0] == "nonsense" ? "" : " \(arguments[0])"
            #expect(outcome.err.contains("Usage: otpctl\(subcommand)"), "\(arguments): \(outcome)")
        }
    }

    @Test func otpdWantsOneOfItsTwoModes() throws {
        let folder = try TemporaryFolder()
        for arguments in [
            [], ["--dev", "--config", "x"], ["--dev", "--courier", "pigeon"], ["--dev", "--commit", "never"],
        ] {
            let outcome = try Program.otpd.run(arguments, in: folder)
            #expect(outcome.code == 2 && outcome.err.hasPrefix("Error: "), "\(arguments): \(outcome)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/.otpd-dev"))
    }

    @Test func couriersAskForConsentToPlainText() throws {
        let folder = try TemporaryFolder()
        for arguments in [["console"], ["spool", "--directory", folder.path + "/spool"]] {
            let outcome = try Program.courier.run(arguments + ["--socket", "s"], in: folder)
            #expect(outcome.code == 1 && outcome.err.contains("--allow-plaintext"), "\(outcome)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/spool"))
        let arguments = ["spool", "--allow-plaintext", "--socket", "s", "--directory", "/proc/spool"]
        let outcome = try Program.courier.run(arguments, in: folder)
        #expect(outcome.code == 1 && outcome.err.contains("/proc/spool"), "\(outcome)")
        let long = try Program.courier.run(
            "console", "--allow-plaintext", "--socket", "/" + String(repeating: "s", count: 107), in: folder)
        #expect(long.code == 1 && long.err.contains("107 bytes"), "\(long)")
    }
}
