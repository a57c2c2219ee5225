import CLinuxShim
import Engine
import Glibc
import LibCrypto
public import Logging
import Permissions
import Store
import Wire

/// The life of the core: open the store, listen, serve until told to stop, stop in good order.
public final class Server {
    private let settings: ServerSettings
    private let log: Logger
    private(set) var served: (batch: Batch, store: Store, loop: EventLoop)?

    /// Nothing happens before `run`.
    public init(settings: ServerSettings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    /// Blocks the signals that `run` waits for: call first in `main`, before any thread exists.
    public static func blockSignals() {
        var signals = stopSignals()
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    private static func stopSignals() -> sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        // A terminal that closes, or a habit: there is no reload, and an end without a checkpoint and with a stale socket is worse than a stop.
        sigaddset(&signals, SIGHUP)
        return signals
    }

    /// Opens, listens, serves; returns after a clean stop by SIGTERM, SIGINT, SIGHUP or Drain.
    /// - Parameter onReady: called when the sockets accept.
    public func run(onReady: () -> Void = {}) throws {
        // Drain is SIGTERM by another road.
        try start(onDrain: { kill(getpid(), SIGTERM) })
        _ = linux_notify("READY=1")
        onReady()
        waitForStop()
        try stop()
    }

    /// Opens and listens; returns when the sockets accept.
    func start(onDrain: @escaping @Sendable () -> Void) throws {
        let started = linux_monotonic_nanos()
        let loop = try EventLoop(maxSockets: try Server.socketsThatFit(settings.maxConnections))
        let master = try MasterKey.load(settings.masterKeyPath)
        let core = try ServerCore(settings, master: master)
        let store = core.store
        try store.crashNote.count(now: core.clock.now().engineMs)
        let batch = try core.makeBatch(poison: PoisonGuard(note: store.crashNote, master: master)) { loop.signal($0) }
        batch.onDrain = onDrain
        batch.unfit.remark = { [log] in log.error("\($0)") }
        batch.refusedPeers.remark = { [log] in log.warning("\($0)") }
        batch.watch.remark = { [log] in log.warning("\($0)") }
        loop.start(batch)
        served = (batch, store, loop)
        tellOfTheTail(store.recovery)
        do {
            // Nothing is served before the start's own record is durable: it tells this boot, its clock and whether challenges are void, and
            // a second start must not know less than a peer was told.
            while try loop.submit({ store.isCommitting }) { usleep(200) }
            for rule in settings.listeners {
                let listener = try Listener.start(rule)
                try loop.submit { try loop.add(listener) }
            }
        } catch {
            // The sockets that were made go, the store is closed: as if it had never started.
            try stop()
            throw error
        }
        for remark in settings.remarks + StartCheck(settings, as: .current()).remarks { log.notice("\(remark)") }
        for remark in [store.keyringRemark, SecretMemory.doubt].compactMap({ $0 }) { log.warning("\(remark)") }
        let millis = (linux_monotonic_nanos() - started) / 1_000_000
        log.info(
            "ready",
            metadata: [
                "sockets": "\(settings.listeners.map(\.path).joined(separator: " "))", "data": "\(settings.dataPath)",
                "commit": "\(store.commitMode.rawValue)", "sync_us": "\(store.measuredSyncNanos / 1_000)",
                "replayed": "\(store.recovery.replayed)", "start_ms": "\(millis)",
            ])
    }

    /// What recovery did with the journal's end.
    private func tellOfTheTail(_ recovery: RecoveryReport) {
        if recovery.droppedTornTail {
            log.warning("the journal's last record was torn and was dropped: it had not been acknowledged")
        }
        if let loss = recovery.loss {
            log.error(
                "acknowledged requests were given up: \(loss.text). Open challenges and unspent grants are void",
                metadata: ["batches_at_least": "\(loss.batches)", "epoch": "\(served?.store.epoch ?? 0)"])
        } else if settings.acceptLostRequests {
            log.notice("--accept-lost-requests changed nothing: no request is missing")
        }
    }

    /// Peers' sockets may take nine tenths of the descriptors less otpd's own. `connections` must fit, else a full house would end in a
    /// journal that can't be opened.
    private static func socketsThatFit(_ connections: Int) throws -> Int {
        let limit = linux_raise_descriptor_limit()
        let room = limit / 10 * 9 - Bounds.ownDescriptors
        guard connections <= room else {
            throw Listener.Failure(
                description: "max_connections is \(connections), but this process may open \(limit) files, which leaves \(max(0, room)) for "
                    + "connections. Raise the limit (LimitNOFILE= in the unit, or `ulimit -Hn`), or lower max_connections.")
        }
        return room
    }

    private func waitForStop() {
        var signals = Server.stopSignals()
        var number: Int32 = 0
        while sigwait(&signals, &number) != 0 {}
        let names = [SIGINT: "SIGINT", SIGHUP: "SIGHUP; there is no reload: start again to read the configuration"]
        log.info("stopping", metadata: ["signal": "\(names[number] ?? "SIGTERM")"])
    }

    /// Stop accepting, answer what is in flight, say goodbye, checkpoint: within 2 s. A disk that hangs ends the process after some more: what
    /// was acknowledged is in the journal.
    func stop() throws {
        guard let (batch, store, loop) = served else { return }
        served = nil
        do {
            try quiesce(batch, store, loop)
            try close(batch, loop)
        } catch is EventLoop.NoAnswer {
            return endProcess("stop", "the disk hasn't answered for \(Server.patience) s; the next start finds all that was acknowledged")
        }
        try loop.stop()
        // They hold the batch, which holds the store.
        store.onSynced = nil
        store.onCheckpointDone = nil
        log.info("stopped")
    }

    /// Seconds that a stop waits for a sync.
    private static let patience = 10
    /// And for its last checkpoint, which may have much to write.
    private static let checkpointPatience = 60

    /// What has arrived is read, decided and answered: the loop looks at its sockets before each of these questions, and has found nothing
    /// three times.
    private func quiesce(_ batch: Batch, _ store: Store, _ loop: EventLoop) throws {
        try loop.submit(within: Server.patience) { loop.closeListeners() }
        let deadline = linux_monotonic_nanos() + 1_000_000_000
        var (quiet, seen) = (0, UInt64.max)
        while quiet < 3, linux_monotonic_nanos() < deadline {
            usleep(1_000)
            let (isIdle, requests) = try loop.submit(within: Server.patience) { (batch.isIdle, batch.counters.requests) }
            quiet = isIdle && requests == seen ? quiet + 1 : 0
            seen = requests
        }
        try loop.submit(within: Server.patience) { batch.sayGoodbye() }
        // The last commit may be with the journal thread.
        let end = linux_monotonic_nanos() + UInt64(Server.patience) * 1_000_000_000
        while try loop.submit(within: Server.patience, { store.isCommitting }) {
            guard linux_monotonic_nanos() < end else { throw EventLoop.NoAnswer() }
            usleep(1_000)
        }
        usleep(20_000)
    }

    private func close(_ batch: Batch, _ loop: EventLoop) throws {
        let end = linux_monotonic_nanos() + UInt64(Server.patience) * 1_000_000_000
        while try !loop.submit(within: Server.checkpointPatience, { try batch.closeIfIdle() }) {
            guard linux_monotonic_nanos() < end else { throw EventLoop.NoAnswer() }
            usleep(1_000)
        }
    }
}
