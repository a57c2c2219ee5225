import ArgumentParser
import AuthServer
import Glibc
import Launch
import LibCrypto
import Logging
import Permissions
import Store

/// `otpd`: the one-time-password server.
@main
struct OTPD: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd",
        abstract: "The one-time-password server that runs beside an e-commerce site's web tier.",
        discussion: """
            Try it:        otpd --dev
            For real:      otpd init --data /var/lib/otpd/data --master-key /etc/otpd/master.key
                           otpd check-config /etc/otpd/otpd.toml
                           otpd --config /etc/otpd/otpd.toml
            """,
        version: "otpd 0.1",
        subcommands: [Run.self, Init.self, CheckConfig.self, RestoreCommand.self, UpgradeCommand.self], defaultSubcommand: Run.self)

    static func main() {
        SecretMemory.prepare()
        Launch.run(OTPD.self)
    }
}

/// Says why on standard error and ends with a code that scripts can use.
func fail(_ error: any Error, code: Int32 = 1) -> ExitCode {
    warn("\(error)")
    return ExitCode(code)
}

/// A line on standard error.
func warn(_ text: String) {
    let line = Array("otpd: \(text)\n".utf8)
    _ = write(2, line, line.count)
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve until SIGTERM, SIGINT, SIGHUP or Drain (the default).")

    @Option(help: "The configuration file (TOML).")
    var config: String?
    @Flag(help: "A development server: everything in one folder of the working directory, issuer `dev`, a courier beside it.")
    var dev = false
    @Option(help: "The folder of --dev.")
    var devFolder = ".otpd-dev"
    @Option(help: "The courier that --dev starts: console, spool (files in <folder>/spool) or none.")
    var courier = "console"
    @Option(help: "When a batch is synced: auto, adaptive, inline or overlapped (overrides the configuration).")
    var commit: String?
    @Flag(help: "Accept a wall clock that is more than 400 days ahead of the last journal record, once.")
    var acceptClock = false
    @Flag(
        help: """
            Start although acknowledged requests are missing from the journal's end, once: open challenges and unspent grants become \
            void. Copy the data folder first. Without a need it changes nothing.
            """)
    var acceptLostRequests = false

    /// Not in `validate`, which would answer before an unknown option is named.
    private func check() throws {
        guard dev != (config != nil) else {
            throw ValidationError("give --config FILE for a real server, or --dev to try otpd out")
        }
        guard ["console", "spool", "none"].contains(courier) else {
            throw ValidationError("--courier is console, spool or none")
        }
        if let commit, CommitMode(rawValue: commit) == nil {
            throw ValidationError("--commit is auto, adaptive, inline or overlapped")
        }
    }

    func run() throws {
        try check()
        Server.blockSignals()
        var child: CourierChild?
        defer { child?.stop() }
        do {
            var settings = try config.map { try Config.load($0) } ?? DevFolder.settings(devFolder)
            if let commit { settings.commit = CommitMode(rawValue: commit) ?? .auto }
            settings.acceptClock = acceptClock
            settings.acceptLostRequests = acceptLostRequests
            let socket = settings.listeners[0].path
            if dev, courier != "none" {
                let spool = String(socket.dropLast("/otpd.sock".count)) + "/spool"
                child = CourierChild.start(gateway: courier, socket: socket, spool: spool)
                if child == nil { warn("no otp-courier beside otpd; messages wait for one") }
            }
            let log = Logger(label: "otpd")
            try Server(settings: settings, log: log).run { if dev { hint(socket) } }
        } catch { throw fail(error) }
    }

    /// The three commands to try next.
    private func hint(_ socket: String) {
        print(
            """

            A development server listens at \(socket).
            In another terminal, beside the otpd program, try:

              otpctl request --account alice --phone +33612345678 --socket \(socket)
              otpctl verify CHALLENGE CODE --socket \(socket)        (CHALLENGE is printed; CODE is in the message above)
              otpctl events --from oldest --follow --socket \(socket)

            Ctrl-C stops it; everything it keeps is in the folder of that socket.
            """)
        fflush(nil)
    }
}

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a master key (mode 0400) and an empty data folder.")

    @Option(help: "The data folder to make.")
    var data: String
    @Option(help: "The master key's file to make; kept if it exists. Keep it apart from the data and from backups.")
    var masterKey: String

    func run() throws {
        do {
            try RootsFolder.refuse(
                data, "init --data \(Shell.quoted(data)) --master-key \(Shell.quoted(masterKey))")
            try Store.checkNew(data)
            // Before a key is made for it.
            if let obstacle = Access.obstacle(toMaking: data, by: .current()) { throw RootsFolder(description: "\(data): \(obstacle)") }
            if access(masterKey, F_OK) != 0, errno == ENOENT {
                _ = try MasterKey.create(at: masterKey)
                print("made the master key \(masterKey) (0400): back it up apart from the data")
            }
            let key = try MasterKey.load(masterKey)
            try Store.create(at: data, master: key)
            print("made the data folder \(data)")
        } catch { throw fail(error) }
    }
}

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Check a configuration file; exit 0 if a server would take it.")

    @Argument(help: "The configuration file.")
    var file: String
    @Option(help: "The user that otpd will run as (default: you; when root asks, the owner of the data folder, of the master key or of what they stand in, else the user `otpd`).")
    var user: String?

    func run() throws {
        do {
            let settings = try Config.load(file)
            let account = try account(settings)
            let check = StartCheck(settings, as: account, file: file)
            guard check.errors.isEmpty else { throw StartCheck.Failure(errors: check.errors, account: account) }
            print("\(file): ok: \(settings.tenants.count) tenant(s), \(settings.listeners.count) listener(s), \(settings.peers.count) peer(s); checked as \(account.text)")
            for remark in settings.remarks + check.remarks { print(remark.hasPrefix(file + ":") ? "\(remark) (note)" : "\(file): note: \(remark)") }
        } catch let error as ValidationError { throw error } catch { throw fail(error) }
    }

    private func account(_ settings: ServerSettings) throws -> Account {
        if let user {
            guard let account = Account(named: user) else { throw ValidationError("--user: there is no user `\(user)` on this machine") }
            return account
        }
        let own = Account.current()
        return own.isRoot ? StartCheck.user(of: settings) : own
    }
}
