import CLinuxShim
import Glibc

/// Makes one fault happen, and checks what the server made of it.
final class SweepRunner {
    /// How runs ended.
    struct Tally { var killed = 0, survived = 0, exited = 0 }

    private let library: String
    private let common: Common
    private var generator: SeededGenerator
    private var session: Session?
    private var folders = 0
    private var runsOfFolder = 0
    private(set) var runs = 0
    private(set) var fired = 0
    private(set) var killed = 0
    private(set) var survived = 0
    private(set) var exited = 0
    private(set) var restarts: [UInt64] = []
    /// Calls of each kind that the newest run made while the fault was armed.
    private(set) var counts: [FaultControl.Call: UInt64] = [:]

    var folder: String? { session?.folder }

    init(library: String, seed: UInt64, common: Common) {
        self.library = library
        self.common = common
        generator = SeededGenerator(seed: seed)
    }

    /// A folder for a dozen runs: the clock jumps in each, and challenges must not reach the end of their records.
    private func next() throws -> Session {
        if let session, runsOfFolder < 12 {
            runsOfFolder += 1
            return session
        }
        try finish()
        folders += 1
        runsOfFolder = 1
        let made = try Session(
            library: library, folder: try temporaryFolder(), commit: common.mode(folders), seed: generator.next())
        session = made
        return made
    }

    func finish() throws {
        restarts += session?.restarts ?? []
        try session?.server.remove()
        session = nil
    }

    /// False when the fault's call wasn't reached.
    func run(_ kind: SweepCase, _ nth: UInt64, _ tally: inout Tally) throws -> Bool {
        runs += 1
        if kind.phase == .`init` { return try runInit(kind, nth, &tally) }
        let session = try next()
        let server = session.server
        var ending = try bring(session, to: kind, nth)
        server.control.disarm()
        counts = server.control.counts
        let didFire = server.control.fired > 0
        // It may have come last of all, and its end is on the way.
        if didFire, ending == nil { ending = server.ended(within: kind.endsOtpd ? 5_000 : 200) }
        try judge(kind, ending, didFire, session, &tally)
        // On the server that took the fault and went on, then on the next one.
        if server.pid != 0, didFire { try session.check() }
        server.kill9()
        try session.check()
        return didFire
    }

    /// How the server ended, if it did.
    private func bring(_ session: Session, to kind: SweepCase, _ nth: UInt64) throws -> Ending? {
        let server = session.server
        func arm(_ scope: FaultControl.Scope) {
            server.control.arm(kind.call, kind.fault, nth: nth, forEver: kind.forEver, scope: scope)
        }
        var shape = Load.Shape()
        shape.clients = 4
        shape.requests = 16
        shape.turnsClock = false
        switch kind.phase {
        case .`init`: return nil
        case .start, .recovery:
            if server.pid == 0 { try session.start() }
            try session.load(shape, milliseconds: 3_000)
            if kind.phase == .start { try server.stop() } else { server.kill9() }
            arm(.allThreads)
            try session.launch()
            // Its socket may be there and its end on the way.
            if let ending = try server.awaitReady() { return ending }
        case .steady:
            if server.pid == 0 { try session.start() }
            arm(.allButCheckpointer)
            try session.load(shape, milliseconds: 1_500)
        case .checkpoint:
            if server.pid == 0 { try session.start() }
            arm(.checkpointer)
            shape.requests = 8
            for _ in 0..<3 where server.pid != 0 {
                try session.load(shape, milliseconds: 1_000)
                server.control.boottimeShiftMs += 1_100
                if let ending = server.ended(within: 90) { return ending }
            }
        case .stop:
            if server.pid == 0 { try session.start() }
            try session.load(shape, milliseconds: 3_000)
            // Somebody to say goodbye to.
            let guests = try (session.peer(), session.peer())
            defer { withExtendedLifetime(guests) {} }
            arm(.allThreads)
            kill(server.pid, SIGTERM)
            guard let ending = server.ended(within: 10_000) else { throw Violation("otpd didn't end within 10 s of SIGTERM") }
            return ending
        }
        return server.ended(within: 30)
    }

    /// What a fault may do to the server: ends are the killer's, or say why.
    private func judge(
        _ kind: SweepCase, _ ending: Ending?, _ didFire: Bool, _ session: Session, _ tally: inout Tally
    ) throws {
        if didFire { fired += 1 }
        switch ending {
        case nil:
            guard didFire else { return }
            survived += 1
            tally.survived += 1
        case .killed(SIGKILL) where kind.endsOtpd:
            killed += 1
            tally.killed += 1
        case .killed(let number): throw Violation("otpd died of signal \(number): \(session.server.said())")
        case .exited(0) where kind.phase == .stop:
            guard didFire else { return }
            survived += 1
            tally.survived += 1
        case .exited(let code):
            guard didFire, code != 0 else { throw Violation("otpd ended with \(code) and no fault: \(session.server.said())") }
            guard !kind.mustBeInvisible(inLMDB: session.server.hasFailedInLMDB) else {
                throw Violation("\(kind.fault) must not end otpd (exit \(code)): \(session.server.said())")
            }
            guard session.server.said().contains("otpd: ") else { throw Violation("exit \(code) without a message") }
            exited += 1
            tally.exited += 1
        }
    }

    /// `otpd init` is cut off or fails; the next one makes key and folder, or finds them whole.
    private func runInit(_ kind: SweepCase, _ nth: UInt64, _ tally: inout Tally) throws -> Bool {
        try finish()
        let folder = try temporaryFolder()
        let server = try CrashServer(folder: folder, library: library, commit: "inline")
        server.control.arm(kind.call, kind.fault, nth: nth, forEver: kind.forEver, scope: .allThreads)
        let ending = server.create()
        server.control.disarm()
        counts = server.control.counts
        let didFire = server.control.fired > 0
        if didFire { fired += 1 }
        switch ending {
        case .exited(0):
            if didFire { survived += 1 }
            if didFire { tally.survived += 1 }
        case .killed(SIGKILL) where kind.endsOtpd:
            killed += 1
            tally.killed += 1
        case .exited where didFire && !kind.mustBeInvisible(inLMDB: server.hasFailedInLMDB) && server.said().contains("otpd: "):
            exited += 1
            tally.exited += 1
        default: throw Violation("otpd init: \(ending): \(server.said())")
        }
        if ending != .exited(0) {
            let again = server.create()
            guard again == .exited(0) || server.said().contains("exists and is not empty") else {
                throw Violation("otpd init after a failed one: \(again): \(server.said())")
            }
        }
        let session = try Session(
            library: library, folder: folder, commit: "inline", seed: generator.next(), isNew: false)
        self.session = session
        runsOfFolder = 12
        try session.check()
        return didFire
    }
}

extension CrashServer {
    /// A fault was made in liblmdb, and it is what the server's last words are about.
    fileprivate var hasFailedInLMDB: Bool { control.firedInLMDB > 0 && said().contains("LMDB") }
}

extension SweepCase {
    var endsOtpd: Bool { fault == .killBefore || fault == .killAfter }

    /// Interruptions, partial writes and slow disks are no failures: nobody may notice. Only LMDB calls a short write EIO; otpd then
    /// ends as for any EIO, and sees to it that it can't happen (`LMDBEnvironment.reserve`; the full-disk test shows it). What LMDB reads is
    /// read again.
    func mustBeInvisible(inLMDB: Bool) -> Bool {
        switch fault {
        case .short: !inLMDB || (call == .read && !forEver)
        case .interrupted, .slow: true
        case .killBefore, .killAfter, .ioError, .noSpace: false
        }
    }
}
