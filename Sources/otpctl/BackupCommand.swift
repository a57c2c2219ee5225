import ArgumentParser
import CLinuxShim
import Foundation
import Launch
import Permissions
import Store

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the data folder, also while otpd serves it.",
        discussion: """
            Run it as root or as the data folder's owner, on the machine where otpd runs. It asks no server and
            needs no master key. Run by root it becomes the data folder's owner first, who must be allowed to
            make FOLDER. FOLDER appears when all of it is on the disk; `sha256sum -c SHA256SUMS` in it checks
            it. `otpd restore` makes a data folder of it. What a killed backup left beside FOLDER, the next one
            removes.
            """)
    @Argument(help: "The folder to make: not there, or empty.")
    var folder: String
    @Option(help: "The data folder (default: $OTPD_DATA, /var/lib/otpd/data).")
    var data: String?
    @Option(help: "MiB of the database copied a second: less spares the server's disk.")
    var rate = Backup.defaultBytesPerSecond >> 20
    @Flag(help: "Say how far it is, also when standard error is no terminal.")
    var progress = false
    @Flag(help: "One JSON object.")
    var json = false

    mutating func validate() throws {
        guard (1...1_000_000).contains(rate) else {
            throw ValidationError("--rate takes 1 to 1000000 MiB a second")
        }
    }

    func run() throws {
        let data = data ?? ProcessInfo.processInfo.environment["OTPD_DATA"] ?? "/var/lib/otpd/data"
        let start = linux_monotonic_nanos()
        Interruption.watch()
        let line = ProgressLine("copied", isWanted: progress)
        do {
            try DataOwner.become(data)
            // The server's threads come first.
            _ = linux_yield_to_others(10)
            let report = try Backup(of: data, to: folder, bytesPerSecond: rate << 20).run(
                isCancelled: { Interruption.isAsked }, progress: { line.show($0.copied, of: $0.total) })
            line.end()
            show(report, Double(linux_monotonic_nanos() - start) / 1e9)
        } catch {
            line.end()
            FileHandle.standardError.write(Data("otpctl: \(error)\n".utf8))
            throw ExitCode(Interruption.isAsked ? Interruption.exitCode : 1)
        }
    }

    private func show(_ report: Backup.Report, _ seconds: Double) {
        let fields: [(String, Field)] = [
            ("backup", .text(folder)), ("epoch", .number(UInt64(report.epoch))),
            ("sequence", .number(report.sequence)),
            ("engine_time_ms", .number(report.clock.engineMs)),
            ("wall_time_ms", .wallTime(report.clock.wallMs)),
            ("database_bytes", .number(UInt64(report.databaseBytes))),
            ("milliseconds", .number(UInt64(seconds * 1_000))),
        ]
        if json { Common.print(json: fields) } else { Common.print(lines: fields) }
    }
}

/// Root becomes who owns the data folder, for good: a file that root made in there would keep otpd out.
enum DataOwner {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func become(_ data: String) throws {
        guard geteuid() == 0 else { return }
        var info = stat()
        // What isn't there is told by whoever opens it.
        guard stat(data, &info) == 0, info.st_uid != 0 else { return }
        let groups = Account(uid: info.st_uid)?.groups ?? [info.st_gid]
        guard setgroups(groups.count, groups) == 0, setgid(groups[0]) == 0, setuid(info.st_uid) == 0 else {
            throw Failure(
                description:
                    "\(data): can't become its owner (uid \(info.st_uid)): "
                    + String(cString: strerror(errno))
            )
        }
    }
}
