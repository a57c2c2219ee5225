import AuthServer
import CFaultDisk
import CSimMachine
import Engine
import Glibc
import Store
import Wire

/// One seed: people, couriers, subscribers, strangers and faults around one server, and checkers that see only what the outside sees.
final class Simulation {
    /// What a web tier does next.
    enum Move: CaseIterable {
        case request, retry, conflict, right, wrong, foreign, resend, cancel, status, quota, checkGrant,
            redeem, unblock, invalid, ping

        var weight: Int {
            switch self {
            case .request: 22
            case .retry: 12
            case .conflict: 3
            case .right: 14
            case .wrong: 14
            case .foreign: 3
            case .resend: 8
            case .cancel: 3
            case .status: 6
            case .quota: 3
            case .checkGrant: 3
            case .redeem: 8
            case .unblock: 2
            case .invalid: 5
            case .ping: 1
            }
        }
    }

    let seed: UInt64
    let operations: Int
    var draw: Draw
    var plan: Plan
    let time = SimTime()
    let machine: Machine
    let history: History
    let replies: ReplyChecker
    let grants: GrantChecker
    let delivery: DeliveryChecker
    let events: EventChecker
    var tally = Occurrences()
    var digest = Digest()

    var peers: [Peer] = []
    /// Requests that may come again, newest last.
    var recent: [Call] = []
    /// Moments at which something ends, and what is tried then: bugs live at edges.
    var alarms: [(at: UInt64, act: (Simulation) -> Void)] = []
    /// What is tried in this step.
    var due: [(Simulation) -> Void] = []
    /// Messages that a courier holds.
    var hands: [(push: MessagePush, peer: Peer)] = []
    var usedTimes: Set<UInt64> = []
    /// Newest engine time that a reply to a write told to be on disk.
    var acknowledgedMs: UInt64 = 0
    var sent = 0
    /// The power, or the process, is known to be off.
    var isOff = false
    /// Challenges from before this engine time are void, as the server has it.
    var voidBefore: UInt64 = 0
    /// The lowest wall clock of the boots since the last crash: one start may have made challenges void and died.
    var lowestWallMs: UInt64 = .max
    /// The highest wall clock of a start that may have written its record and then died.
    var startedWallMs: UInt64 = 0
    /// The last event that the recorder of a tenant has handled.
    var recorded: [UInt32: Cursor] = [:]
    /// Prints what is sent and comes back.
    var isTracing = false

    static let tenants: [UInt32] = [1, 2]
    static let phones = (0..<20).map { "+336123456\($0 < 10 ? "0" : "")\($0)" }

    init(seed: UInt64, operations: Int, folder: String, isDigesting: Bool) throws {
        self.seed = seed
        self.operations = operations
        var draw = Draw(seed)
        plan = Plan(&draw)
        self.draw = draw
        sim_machine_seed(seed)
        history = History(policies: Simulation.policies)
        replies = ReplyChecker(history: history)
        grants = GrantChecker(history: history)
        delivery = DeliveryChecker(history: history, phones: Simulation.phones)
        events = EventChecker(history: history, startMs: SimTime.startMs)
        digest.isOn = isDigesting
        machine = Machine(
            folder: folder, time: time, settings: try Simulation.settings(folder, plan),
            listener: ListenerRule(path: "/sim"))
    }

    func trace(_ line: String) { print("\(machine.engineMs) \(line)") }

    // MARK: policies

    /// Tenant 1 as it comes; tenant 2 without budgets, with a purpose for guesses that never stop.
    private static func settings(_ folder: String, _ plan: Plan) throws -> ServerSettings {
        var open = TenantPolicy(number: 2, name: "two", shop: "Two")
        open.modes.setAll(.off)
        var hammer = PurposePolicy(number: 3, name: "hammer")
        hammer.streak = StreakPolicy(blockAfter: 24)
        hammer.gapMs = [20_000]
        hammer.alphabet = .lettersAndDigits
        hammer.priority = .low
        open.purposes[1].priority = .high
        open.purposes.append(hammer)
        var settings = try ServerSettings(
            dataPath: folder + "/data", masterKeyPath: "", issuer: "sim",
            tenants: [TenantPolicy(number: 1, name: "one", shop: "One"), open], listeners: [],
            peers: [
                PeerRule(uid: 1_001, tenant: 1, roles: .all), PeerRule(uid: 1_002, tenant: 2, roles: .all),
                PeerRule(uid: 1_003, tenant: 1, roles: Roles(.verify)),
                PeerRule(uid: 1_004, tenant: 1, roles: Roles(.support)),
                PeerRule(uid: 1_005, tenant: 2, roles: Roles(.support)),
            ])
        settings.commit = plan.commit
        settings.segmentBytes = plan.segmentBytes
        settings.overlayRecords = plan.overlayRecords
        settings.overlayBytes = plan.overlayRecords * 512
        settings.mapBytes = plan.mapBytes
        return settings
    }

    /// The same, as `PROTOCOL.md` and the operator's manual state them: written a second time, on purpose.
    private static let policies: [UInt32: SimPolicy] = {
        let login = SimPurpose()
        let payment = SimPurpose(blockAfter: 5, codeLength: 8, isPayment: true)
        let hammer = SimPurpose(gapMs: [20_000], blockAfter: 24)
        return [
            1: SimPolicy(enforces: true, purposes: [1: login, 2: payment], uids: [1_001, 1_003, 1_004]),
            2: SimPolicy(enforces: false, purposes: [1: login, 2: payment, 3: hammer], uids: [1_002, 1_005]),
        ]
    }()

    // MARK: a run

    func run() throws {
        try begin()
        while sent < operations, history.violations.isEmpty {
            try step()
        }
        if history.violations.isEmpty { try finish() }
        // Whatever happened, the process and its files go.
        fault_disk_power_off()
        for peer in peers { peer.cut() }
        peers = []
        machine.dropProcess()
        fault_disk_stop()
        sim_machine_set_free_bytes(64 << 30)
    }

    func step() throws {
        let actions = due
        due = []
        for act in actions { act(self) }
        for _ in 0..<draw.between(1, plan.burst) { webMove() }
        courierMoves()
        observerMoves()
        try hostileMoves()
        armFaults()
        deliver()
        machine.turn()
        noteCrash("a turn")
        runJobs()
        collect()
        pass()
        if !machine.isAlive || draw.chance(plan.kills + plan.powerCuts) { try crash() }
        try reconnect()
    }

    /// What is queued arrives, or a part of it.
    func deliver() {
        for peer in peers where peer.isOpen && !peer.outgoing.isEmpty {
            var count = peer.outgoing.count
            if draw.chance(plan.partials) {
                count = draw.below(count)
                tally.add("fault frame arrives in parts")
            }
            peer.deliver(count, &digest)
            if draw.chance(plan.cuts) {
                tally.add("fault connection cut")
                peer.cut()
            }
        }
    }

    private func noteCrash(_ place: String) {
        guard fault_disk_is_off(), !isOff else { return }
        isOff = true
        tally.add("fault crash in \(place)")
    }

    private func runJobs() {
        if machine.hasJournalJob {
            if draw.chance(plan.journalSpeed) {
                machine.runJournalJob()
                noteCrash("an overlapped sync")
            } else {
                tally.add("fault slow sync")
            }
        }
        if machine.hasCheckpointJob {
            if draw.chance(plan.checkpointSpeed) {
                machine.runCheckpointJob()
                noteCrash("mid-checkpoint")
            } else {
                tally.add("fault slow checkpoint")
            }
        }
    }

    /// The loop goes on while a checkpoint is under way.
    func checkpointStep() {
        guard draw.chance(plan.interleaving) else { return }
        tally.add("fault turn in mid-checkpoint")
        for _ in 0..<draw.between(1, plan.burst) { webMove() }
        deliver()
        machine.turn()
        if machine.hasJournalJob, draw.chance(plan.journalSpeed) { machine.runJournalJob() }
        collect()
    }

    func alarm(at time: UInt64, _ act: @escaping (Simulation) -> Void) {
        guard plan.edges > 0, time > machine.engineMs else { return }
        alarms.append((time, act))
        if alarms.count > 30 { alarms.remove(at: draw.below(alarms.count)) }
    }

    /// Milliseconds to just before, at or just after a moment at which something ends.
    private func nextEdge() -> UInt64? {
        alarms.removeAll { $0.at <= machine.engineMs + 1 }
        guard !alarms.isEmpty else { return nil }
        // Mostly the next one: a jump passes over all that come earlier.
        let nearest = alarms.indices.min { alarms[$0].at < alarms[$1].at } ?? 0
        let (at, act) = alarms.remove(at: draw.chance(700) ? nearest : draw.below(alarms.count))
        due.append(act)
        return at - machine.engineMs + draw.pick([0, 0, 1, 2]) - 1
    }

    /// Time passes; the server's clock must follow it.
    private func pass() {
        let spans: [(Int, Int)] = [
            (0, 0), (1, 60), (500, 5_000), (20_000, 45_000), (60_000, 600_000), (3_600_000, 20_000_000),
            (86_400_000, 200_000_000),
        ]
        let (low, high) = spans[draw.weighted(plan.pace)]
        var ms = UInt64(draw.between(low, high))
        if draw.chance(plan.edges), let edge = nextEdge() { ms = edge }
        guard ms > 0 else { return }
        let before = machine.engineMs
        machine.pass(ms)
        machine.tick()
        guard machine.isAlive else { return }
        let passed = machine.engineMs - before
        if passed < ms || passed > ms + ms / 2_000 + 1 {
            history.violation("\(ms) ms passed, and \(passed) ms of engine time")
        }
        collect()
    }
}
