import CLinuxShim
import Engine
import Glibc
import LibCrypto
public import Logging
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
        return signals
    }

    /// Opens, listens, serves; returns after a clean stop by SIGTERM, SIGINT or Drain.
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
        let note = try CrashNote(in: settings.dataPath, now: core.clock.now().engineMs)
        let batch = try core.makeBatch(poison: PoisonGuard(note: note, master: master)) { loop.signal($0) }
        batch.onDrain = onDrain
        loop.start(batch)
        served = (batch, store, loop)
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
        for remark in settings.remarks { log.notice("\(remark)") }
        let millis = (linux_monotonic_nanos() - started) / 1_000_000
        log.info(
            "ready",
            metadata: [
                "sockets": "\(settings.listeners.map(\.path).joined(separator: " "))", "data": "\(settings.dataPath)",
                "commit": "\(store.commitMode.rawValue)", "sync_us": "\(store.measuredSyncNanos / 1_000)",
                "replayed": "\(store.recovery.replayed)", "start_ms": "\(millis)",
            ])
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
        log.info("stopping", metadata: ["signal": "\(number == SIGINT ? "SIGINT" : "SIGTERM")"])
    }

    /// Stop accepting, answer what is in flight, say goodbye, checkpoint: within 2 s.
    func stop() throws {
        guard let (batch, store, loop) = served else { return }
        served = nil
        try loop.submit { loop.closeListeners() }
        // What has arrived is read, decided and answered: the loop looks at its sockets before each of these questions, and
        // has found nothing three times.
        let deadline = linux_monotonic_nanos() + 1_000_000_000
        var (quiet, seen) = (0, UInt64.max)
        while quiet < 3, linux_monotonic_nanos() < deadline {
            usleep(1_000)
            let (isIdle, requests) = try loop.submit { (batch.isIdle, batch.counters.requests) }
            quiet = isIdle && requests == seen ? quiet + 1 : 0
            seen = requests
        }
        try loop.submit { batch.sayGoodbye() }
        // The last commit may be with the journal thread, on a slow disk for long.
        while try loop.submit({ store.isCommitting }) { usleep(1_000) }
        usleep(20_000)
        // The last commit may still be on the journal thread: a slow disk gets its time, and the store is closed when it is done.
        let end = linux_monotonic_nanos() + 10_000_000_000
        while try !loop.submit({ try batch.closeIfIdle() }) {
            guard linux_monotonic_nanos() < end else { return endProcess("journal", "the last sync took over 10 s") }
            usleep(1_000)
        }
        try loop.stop()
        // They hold the batch, which holds the store.
        store.onSynced = nil
        store.onCheckpointDone = nil
        log.info("stopped")
    }
}

extension Batch {
    /// Closes the store unless a sync is under way; whether it did.
    package func closeIfIdle() throws -> Bool {
        guard isIdle else { return false }
        letGo()
        try store.close(now: clock.now().engineMs)
        return true
    }

    /// Nothing is decided or answered any more; connections that wait hold the batch, which lets go of them.
    package func letGo() {
        isStopped = true
        queue = []
        holding = []
        holdingUnderWay = []
        stalled = []
    }

    /// The last commit and the last frame of every connection.
    package func sayGoodbye() {
        note([.serverDraining], store.takesWrites ? rates.takeCounts() : [])
        isDraining = true
        onDrain = {}
        for connection in connections {
            connection.close(Goodbye(.shuttingDown, "the server is stopping; connect again"))
        }
    }
}
