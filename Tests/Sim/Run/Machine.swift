import AuthServer
import CFaultDisk
import CSimMachine
import Engine
import Glibc
import LibCrypto
import Store
import Synchronization
import Wire

/// The machine that otpd runs on: its disk, its clocks, and one process at a time, which can die at any moment.
///
/// The process is the real one but for its sockets, its two store threads and its timers: those run when the simulation says so.
final class Machine {
    /// How a process or the machine ends.
    enum End { case kill, powerCut }

    let folder: String
    let time: SimTime
    var settings: ServerSettings
    let listener: ListenerRule
    /// What the store's jobs have reported and the process hasn't taken.
    private let signals = SignalBox()
    /// Peers whose connections are closed and who haven't been told.
    private var ending: [Peer] = []
    private(set) var server: Batch?
    /// Why the process ended itself, if it did.
    private(set) var lastWords: String?
    /// Engine time at the last look, and CLOCK_BOOTTIME then.
    private(set) var engineMs: UInt64 = 0
    private(set) var lookedAtMs: UInt64 = 0
    /// What left the process, in order over all connections.
    var arrivals: [(peer: Peer, bytes: [UInt8])] = []
    /// What the simulation does at a checkpoint's steps.
    var onCheckpointStep: (Checkpointer.Step) -> Void = { _ in }
    private var isInJob = false

    private var dataPath: String { settings.dataPath }

    init(folder: String, time: SimTime, settings: ServerSettings, listener: ListenerRule) {
        self.folder = folder
        self.time = time
        self.settings = settings
        self.listener = listener
        self.settings.runsJobsByHand = true
        simulatedEnd = { [weak self] words in
            if let self, self.lastWords == nil { self.lastWords = words }
        }
    }

    /// The power is on, and the process hasn't ended itself: what it sends leaves.
    var isAlive: Bool { lastWords == nil && !fault_disk_is_off() }

    static func master() -> SecretBytes {
        SecretBytes(count: 32) { for index in 0..<32 { $0[index] = UInt8(index &* 7 &+ 3) } }
    }

    // MARK: starts

    /// Makes the data folder, as `otpd init` does.
    func create() throws { try Store.create(at: dataPath, master: Machine.master()) }

    /// Starts the process on what the disk holds. It may die on the way: then `isAlive` is false.
    func start() throws {
        lastWords = nil
        // The connections of the process before are gone once their ends were heard.
        endConnections()
        settings.clockSource = { [time] in time.source }
        let core = try ServerCore(settings, master: Machine.master())
        do {
            server = try core.makeBatch { [signals] in signals.add($0) }
        } catch {
            core.store.abandon()
            throw error
        }
        // As `Server` does: nothing is served before the start's own record is durable.
        finishJobs()
        takeSignals()
        look()
    }

    // MARK: its life

    /// What has arrived is decided; jobs wait.
    func turn() {
        takeSignals()
        while let server, server.wantsTurn { server.turn() }
        endConnections()
        look()
    }

    private func takeSignals() {
        for signal in signals.take() { server?.take(signal) }
    }

    func ends(_ peer: Peer) { ending.append(peer) }

    private func endConnections() {
        while !ending.isEmpty {
            let gone = ending
            ending = []
            for peer in gone { peer.ended() }
        }
    }

    var hasJournalJob: Bool { server?.store.hasJournalJob ?? false }
    var hasCheckpointJob: Bool { server?.store.hasCheckpointJob ?? false }

    func runJournalJob() {
        guard isAlive, hasJournalJob else { return }
        server?.store.runJournalJob()
        turn()
    }

    func runCheckpointJob() {
        guard isAlive, !isInJob, hasCheckpointJob, let server else { return }
        isInJob = true
        server.store.runCheckpointJob { [self] step in
            if isAlive { onCheckpointStep(step) }
        }
        isInJob = false
        turn()
    }

    /// All jobs there are, to the end.
    func finishJobs() {
        while isAlive, hasJournalJob || hasCheckpointJob {
            runJournalJob()
            runCheckpointJob()
        }
    }

    func tick() {
        guard isAlive else { return }
        server?.tick()
        turn()
    }

    private func look() {
        guard let server else { return }
        engineMs = server.clock.now().engineMs
        lookedAtMs = time.boottimeMs
    }

    /// Time passes while the process lives.
    func pass(_ ms: UInt64) {
        time.pass(ms)
        while let server, server.wantsLook, isAlive { server.lookAgain() }
    }

    // MARK: its end

    /// The process goes as it stands: open files are closed by the kernel, memory is gone. Connections must be cut first.
    func dropProcess() {
        guard let old = server else { return }
        server = nil
        fault_disk_power_off()
        old.letGo()
        old.store.onSynced = nil
        old.store.onCheckpointDone = nil
        endConnections()
        _ = signals.take()
        old.store.abandon()
    }

    /// Call after `dropProcess`: what the disk holds then.
    func end(_ how: End, crash: UInt32, seed: UInt64) {
        switch how {
        case .kill: fault_disk_kill()
        case .powerCut: fault_disk_crash(crash, seed)
        }
    }

    /// A stop in good order, as SIGTERM brings it: what was decided is answered, Goodbye, a checkpoint.
    func stop() throws {
        guard let old = server else { return }
        finishJobs()
        old.sayGoodbye()
        finishJobs()
        turn()
        guard isAlive else { return }
        guard try old.closeIfIdle() else { preconditionFailure("a server whose jobs are done is idle") }
        server = nil
        old.store.onSynced = nil
        old.store.onCheckpointDone = nil
    }
}

/// Filled by the store's jobs, which the simulation runs on its one thread.
private final class SignalBox: Sendable {
    private let waiting = Mutex<[Signal]>([])

    func add(_ signal: Signal) { waiting.withLock { $0.append(signal) } }

    func take() -> [Signal] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
