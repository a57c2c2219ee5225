import ArgumentParser
import AuthServer
import Store

struct UpgradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade", abstract: "Bring a stopped otpd's data folder to this otpd's formats.",
        discussion:
            "A start does the same; this one tells what it finds, and serves nobody. Make a backup first.")
    @Option(help: "The data folder.")
    var data: String
    @Option(help: "The master key's file.")
    var masterKey: String

    func run() throws {
        do {
            let key = try MasterKey.load(masterKey)
            let report = try Upgrade(options: StoreOptions(path: data, tables: StoreState.tables)).run(
                master: key)
            print("\(data): \(report.replayed) journal records replayed, the newest is \(report.sequence)")
            let (before, after) = (report.before, report.after)
            show("store", before.store, after.store)
            show("keyring", "\(before.keyring)", "\(after.keyring)")
            show(
                "database", before.database.map { "\($0)" } ?? "none",
                after.database.map { "\($0)" } ?? "none")
            show("journal", before.journal.map { "\($0)" } ?? "none", after.journal.map { "\($0)" } ?? "none")
        } catch { throw fail(error) }
    }

    private func show(_ name: String, _ before: String, _ after: String) {
        print("\(name): \(before)\(before == after ? ", as it was" : " before, \(after) now")")
    }
}
