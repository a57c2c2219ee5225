import AuthServer
import CLinuxShim
import Engine
import Glibc
import LibCrypto
import Store
import Wire

/// One run: the store in a folder of its own, the engine, the traffic, and time as data.
final class ChurnRun {
    static let tenant: UInt32 = 1
    /// How long a challenge is remembered.
    static let lifeMs = RuleBounds.challengeRecordMs
    static let start: UInt64 = 1_780_000_000_000

    /// Copies: an option's own storage is slow to read.
    let (challenges, live, batchSize, pace): (Int, Int, Int, Int)
    let root: String
    let store: Store
    let checkpointMs: UInt64
    private let engine: Engine
    private(set) var now = ChurnRun.start
    var window = Window()
    private(set) var traffic: Traffic
    private(set) var outcomes = Outcomes()
    private(set) var requests = 0
    private var seenCheckpoints: UInt64 = 0
    /// Bytes written outside the journal by the end of the checkpoint before.
    private var seenWritten: UInt64 = 0

    init(_ options: OTPChurn) throws {
        (challenges, live, batchSize, pace) = (options.challenges, options.live, options.batch, options.pace)
        root = "\(options.folder)/otp-churn-\(getpid())"
        guard mkdir(root, 0o700) == 0 else { throw ChurnError("can't make the folder \(root)") }
        func master() -> SecretBytes {
            SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
        }
        try Store.create(at: root + "/data", master: master())
        var tables = StoreState.tables
        // Thirty days of events would be most of the file, and never go within the run: fewer do both.
        tables[Int(Table.event.rawValue)].maxRows = 20 * options.live
        var settings = StoreOptions(path: root + "/data", tables: tables)
        settings.commit = .inline
        // Time is compressed: with 100,000 live ones a checkpoint is due by it as soon as by size, 32,768 keys.
        settings.checkpointMs = 64_000
        checkpointMs = settings.checkpointMs
        store = try Store(opening: settings, master: master())
        engine = Engine(
            tenants: [TenantPolicy(number: ChurnRun.tenant, name: "shop", shop: "Shop")],
            keys: EngineKeys(master: master()))
        traffic = Traffic(seed: options.seed, live: options.live)
    }

    func remove() { Probe.remove(root) }
    func close() throws { try store.close(now: now) }

    // MARK: batches

    private var clock: StoreClock {
        StoreClock(bootID: (1, 1), boottimeMs: now - ChurnRun.start, engineMs: now, wallMs: now)
    }

    /// Engine time at which the next challenge comes.
    private var nextArrival: UInt64 {
        ChurnRun.start + UInt64(traffic.created) * ChurnRun.lifeMs / UInt64(live)
    }

    /// One commit: what is due, then new challenges up to `limit`. False when there was nothing to do.
    func batch(creatingUpTo limit: Int) throws -> Bool {
        engine.beginBatch()
        let context = BatchContext(
            now: now, wall: now, epoch: store.epoch, voidBefore: 0, sequence: store.nextSequence)
        var state = StoreState(store: store, now: now)
        var count = 0
        while count < batchSize {
            if !store.canAccept {
                if !store.batchIsEmpty { break }
                try waitForRoom()
            }
            if let errand = traffic.next(now) {
                run(errand, context, &state)
            } else if traffic.created < limit, nextArrival <= now {
                create(context, &state)
            } else {
                break
            }
            count += 1
        }
        requests += count
        if !store.batchIsEmpty {
            let (start, isDisturbed) = (linux_monotonic_nanos(), store.makesRoom)
            guard try store.commit(clock: clock) == .synced else {
                throw ChurnError("an inline commit is synced at once")
            }
            window.commit(linux_monotonic_nanos() - start, duringCheckpoint: isDisturbed)
        }
        try maintain()
        return count > 0
    }

    /// Time goes on until something is due.
    func advance(creatingUpTo limit: Int) {
        now += traffic.created < limit ? max(1, nextArrival - min(nextArrival, now)) : 1_000
    }

    /// An empty record.
    func tellTime() throws { _ = try store.commit(clock: clock) }

    func skip(_ milliseconds: UInt64) { now += milliseconds }

    func maintain() throws {
        try store.maintain(now: now)
        window.overlayPeak = max(window.overlayPeak, store.overlayCount)
        if store.statistics.checkpoints != seenCheckpoints {
            seenCheckpoints = store.statistics.checkpoints
            // All that was written since the checkpoint before, but for the journal.
            let written = Probe.writtenBytes() - store.statistics.journalBytes
            window.checkpoint(store.statistics.checkpointNanos, bytes: written - min(written, seenWritten))
            seenWritten = written
        }
    }

    /// As the server does: a millisecond, then another look.
    private func waitForRoom() throws {
        let start = linux_monotonic_nanos()
        while !store.canAccept {
            try maintain()
            usleep(1_000)
        }
        window.wait(linux_monotonic_nanos() - start)
    }

    // MARK: requests

    private func decide(_ request: Request, _ context: BatchContext, _ state: inout StoreState) -> Reply {
        state.beginRequest()
        return engine.decide(
            request, caller: Caller(tenant: ChurnRun.tenant, uid: 1_000), context: context,
            entropy: traffic.entropy(), state: &state)
    }

    private func create(_ context: BatchContext, _ state: inout StoreState) {
        let (shopper, message) = traffic.nextRequest(now)
        let reply = decide(.requestCode(message), context, &state)
        outcomes.count("RequestCode", reply)
        guard case .challenge(let made) = reply, let lease = lease(context, &state) else { return }
        traffic.plan(
            Errand(
                kind: .report, due: now, shopper: shopper, session: message.session,
                challenge: made.challenge, code: lease.code,
                token: lease.push.token), now)
    }

    /// The message that the last request made, as a courier gets it.
    private func lease(_ context: BatchContext, _ state: inout StoreState) -> Engine.MessageDraft? {
        var made: MessageKey?
        engine.takeDue { made = made ?? $0 }
        guard let key = made else { return nil }
        let result = engine.lease(
            key, leaseMs: 15_000, token: traffic.bytes16(), context: context, state: &state)
        guard case .leased(let draft) = result else { return nil }
        return draft
    }

    private func run(_ errand: Errand, _ context: BatchContext, _ state: inout StoreState) {
        switch errand.kind {
        case .report:
            var m = ReportMessage()
            (m.challenge, m.send, m.token) = (errand.challenge, errand.send, errand.token)
            m.outcome = ReportMessage.Outcome.submitted.rawValue
            outcomes.count("Report", decide(.report(m), context, &state))
        case .cancel:
            var m = Cancel()
            (m.requestID, m.challenge, m.session) = (traffic.requestID(now), errand.challenge, errand.session)
            outcomes.count("Cancel", decide(.cancel(m), context, &state))
        case .wrong, .right: verify(errand, context, &state)
        case .resend:
            var m = Resend()
            (m.requestID, m.challenge, m.session) = (traffic.requestID(now), errand.challenge, errand.session)
            outcomes.count("Resend", decide(.resend(m), context, &state))
            guard let lease = lease(context, &state) else { return }
            var errand = errand
            (errand.send, errand.token) = (2, lease.push.token)
            traffic.planLate(errand, now)
        case .redeem:
            var m = RedeemGrant()
            (m.requestID, m.grant, m.session) = (traffic.requestID(now), errand.grant, errand.session)
            (m.purpose, m.account) = (1, Traffic.account(errand.shopper))
            outcomes.count("Redeem", decide(.redeemGrant(m), context, &state))
        }
    }

    private func verify(_ errand: Errand, _ context: BatchContext, _ state: inout StoreState) {
        var m = Verify()
        (m.requestID, m.challenge, m.session) = (traffic.requestID(now), errand.challenge, errand.session)
        var digits = errand.code.withBytes { Array($0) }
        if errand.kind == .wrong { digits[0] = digits[0] == 0x39 ? 0x30 : digits[0] + 1 }
        m.code = CodeBytes(digits)
        let reply = decide(.verify(m), context, &state)
        outcomes.count(errand.kind == .right ? "Verify" : "Guess", reply)
        guard case .verified(let grant) = reply else { return }
        var errand = errand
        (errand.kind, errand.due, errand.grant) = (.redeem, now + 2_000, grant.grant)
        traffic.add(errand)
    }
}

/// How often each kind of request was answered how.
struct Outcomes {
    private(set) var counts: [String: Int] = [:]

    mutating func count(_ name: StaticString, _ reply: Reply) {
        var key = "\(name)"
        if case .refused(let refusal) = reply { key += " \(refusal.status.map { "\($0)" } ?? "?")" }
        counts[key, default: 0] += 1
    }

    subscript(_ name: String) -> Int { counts[name] ?? 0 }

    var text: String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}

/// What went wrong, for people.
struct ChurnError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
