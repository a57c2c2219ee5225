import ArgumentParser
import AuthServer
import CLinuxShim
import Foundation
import Launch
import Permissions
import Store

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make a data folder of a backup.",
        discussion: """
            Run it as otpd's user. The backup stays as it is; NEW appears when all of it is on the disk. Codes
            and grants that were open in the backup are void: it isn't known whether they were used since.
            Limits count what the backup knows of.
            """)
    @Option(help: "The backup: a folder of `otpctl backup`, or a plain copy of a stopped data folder.")
    var from: String
    @Option(help: "The data folder to make: not there, or empty.")
    var data: String
    @Option(help: "The master key's file.")
    var masterKey: String

    func run() throws {
        Interruption.watch()
        let line = ProgressLine("copied", isWanted: false)
        do {
            try RootsFolder.refuse(
                data, "restore --from \(Shell.quoted(from)) --data \(Shell.quoted(data)) --master-key \(Shell.quoted(masterKey))")
            let key = try MasterKey.load(masterKey)
            let now = linux_realtime_nanos() / 1_000_000
            let report = try Restore(from: from, options: StoreOptions(path: data, tables: StoreState.tables))
                .run(
                    master: key, wallMs: now, isCancelled: { Interruption.isAsked },
                    progress: { line.show($0, of: $1) })
            line.end()
            show(report, now)
        } catch {
            line.end()
            throw fail(error, code: Interruption.isAsked ? Interruption.exitCode : 1)
        }
    }


    private func show(_ report: Restore.Report, _ now: UInt64) {
        let events = StoreState.tables.firstIndex { $0.name == "event" } ?? 0
        print("made the data folder \(data) of \(from)")
        if let clock = report.clock {
            let age = now > clock.wallMs ? (now - clock.wallMs) / 1_000 : 0
            print(
                "newest record: \(report.sequence), \(RestoreCommand.age(age)) ago: \(date(clock.wallMs)) by the wall clock, "
                    + "engine time \(clock.engineMs) ms"
            )
        } else {
            print("newest record: none, the folder was never served")
        }
        if report.lostBatches > 0 {
            print(
                "LOST: \(from) had acknowledged at least \(report.lostBatches) batches of requests more, and its journal doesn't hold them. "
                    + "If that folder still is whole elsewhere, take that one")
        }
        if report.droppedTornTail {
            print("a torn record at the journal's end, never acknowledged, was dropped")
        }
        print("events: \(report.rows.indices.contains(events) ? report.rows[events] : 0)")
        print("epoch: \(report.epoch) (the copy's was \(report.oldEpoch))")
        print(
            """
            Void from now on: codes that were open and grants that weren't redeemed; shoppers ask anew.
            As in the copy: limits' counts, failures and blocks. What came after that record is forgotten.
            Subscribers begin anew from `oldest`: cursors of the old epoch have no place here.
            """)
    }

    private func date(_ wallMs: UInt64) -> String {
        Date(timeIntervalSince1970: Double(wallMs) / 1_000).formatted(.iso8601)
    }

    private static func age(_ seconds: UInt64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7_200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3_600) h"
        case _: "\(seconds / 86_400) days"
        }
    }
}
