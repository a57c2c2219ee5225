import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// One data folder's life: its server, its log, what was read of it.
final class Session {
    let server: CrashServer
    let folder: String
    private(set) var log: OracleLog
    private var numbers = 0
    private var formerEvents: [EventPush] = []
    private var generator: SeededGenerator
    private var shoppers: UInt64 = 1
    private(set) var totals = Checker.Totals()
    /// From the start of the process to the first reply, nanoseconds.
    var restarts: [UInt64] = []

    private var logPath: String { folder + "/oracle.log" }

    /// A new folder with `otpd init` done, or an existing one to be checked (`isNew` false).
    init(library: String, folder: String, dataFolder: String? = nil, commit: String, seed: UInt64, isNew: Bool = true) throws {
        self.folder = folder
        generator = SeededGenerator(seed: seed)
        server = try CrashServer(folder: folder, dataFolder: dataFolder, library: library, commit: commit)
        log = try OracleLog(folder + "/oracle.log")
        guard isNew else {
            // Numbers that the killed harness can't have used.
            numbers = 1_000_000
            shoppers = 50_000_000
            return
        }
        let made = server.create()
        guard made == .exited(0) else { throw CrashError("otpd init ended with \(made): \(server.said())") }
    }

    /// Starts the process; the log knows.
    func launch(_ extra: [String] = []) throws {
        try log.started()
        try server.launch(extra)
    }

    func start(_ extra: [String] = []) throws {
        try log.started()
        try server.start(extra)
    }

    /// Runs the mix until the server goes, the requests are done, or the time is over. Replies that came.
    @discardableResult
    func load(_ shape: Load.Shape, milliseconds: UInt64) throws -> Int {
        let load = Load(server, log, shape, seed: generator.next(), firstShopper: shoppers)
        shoppers += 10_000
        try load.run(numbers: &numbers, milliseconds: milliseconds)
        return load.replies
    }

    /// Brings it back, if it isn't there, and checks everything.
    func check(_ extra: [String] = []) throws {
        if server.pid == 0 {
            let begin = linux_monotonic_nanos()
            try start(extra)
            let checker = try checker()
            restarts.append(linux_monotonic_nanos() - begin)
            return try run(checker)
        }
        try run(try checker())
    }

    private func checker() throws -> Checker {
        try Checker(server, log, logPath, numbers: &numbers, formerEvents: formerEvents, seed: generator.next())
    }

    private func run(_ checker: Checker) throws {
        shoppers += 1
        try checker.check(shopper: shoppers)
        formerEvents = checker.formerEvents
        totals = checker.totals
    }

    /// A logged connection for a test's own requests.
    func peer() throws -> Peer {
        numbers += 1
        return try Peer(server.socket, number: numbers, log: log)
    }

    /// A request that no limit stands against.
    func request(_ peer: Peer) -> RequestCode {
        shoppers += 1
        var message = RequestCode()
        message.requestID = peer.requestID(&generator)
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("account-\(shoppers)")
        let digits = String(shoppers)
        message.phone = PhoneBytes("+336" + String(repeating: "0", count: 8 - digits.count) + digits)
        message.session = Bytes32(head: Bytes16(high: generator.next(), low: 1), tail: Bytes16(high: 2, low: 3))
        return message
    }

    func id(_ peer: Peer) -> Bytes16 { peer.requestID(&generator) }
}

/// Options that all of the harness' commands share.
struct Common: ParsableArguments {
    @Option(help: "Seed of ids, choices and moments.")
    var seed: UInt64 = 1
    @Option(help: "Commit mode: auto, inline, overlapped, adaptive, or all three in turns.")
    var commit = "all"

    /// The mode of the `number`th folder.
    func mode(_ number: Int) -> String { commit == "all" ? ["inline", "overlapped", "adaptive"][number % 3] : commit }
}

/// Prints at once: a run that is killed has said how far it came.
func say(_ text: String) {
    print(text)
    fflush(nil)
}

/// Says what broke and how to run it again, then ends with 1. The folder stays for a look.
func ending(_ again: String?, _ folder: () -> String?, _ body: () throws -> Void) throws {
    signal(SIGPIPE, SIG_IGN)
    do { try body() } catch {
        say("\(error)")
        if let folder = folder() { say("left for a look: \(folder)") }
        if let again { say("again: otp-crash \(again)") }
        throw ExitCode(1)
    }
}

/// The commit that is tested, as git tells it.
func commitName() -> String { getenv("OTPD_COMMIT").map { String(cString: $0) } ?? "unknown" }

/// Median and maximum.
func spread(_ nanos: [UInt64]) -> String {
    let sorted = nanos.sorted()
    guard let last = sorted.last else { return "none" }
    return "median \(milliseconds(sorted[sorted.count / 2])), max \(milliseconds(last)), of \(sorted.count)"
}
