import AuthServer
import CFaultDisk
import CSimMachine
import Engine
import Glibc
import Store
import Wire

/// The first start, and the end: faults stop, and everything still owed gets done.
extension Simulation {
    func begin() throws {
        machine.onCheckpointStep = { [weak self] _ in self?.checkpointStep() }
        removeFolder(machine.folder)
        guard mkdir(machine.folder, 0o700) == 0 else {
            preconditionFailure("can't make \(machine.folder): errno \(errno)")
        }
        fault_disk_watch(machine.folder)
        for attempt in 0... {
            if attempt < 3, draw.chance(plan.startCrashes) {
                tally.add("fault crash in the first start")
                fault_disk_crash_at(fault_disk_calls() + UInt64(draw.between(1, 90)))
            }
            do {
                if access(machine.settings.dataPath, F_OK) != 0 { try machine.create() }
                try machine.start()
            } catch {
                return history.violation("the first start failed: \(error)")
            }
            if machine.isAlive { break }
            fault_disk_power_off()
            machine.dropProcess()
            if draw.chance(500) {
                fault_disk_crash(UInt32(draw.pick([CRASH_ALL_LOST, CRASH_SUBSET, CRASH_TORN])), draw.word())
            } else {
                fault_disk_kill()
            }
        }
        fault_disk_crash_at(.max)
        acknowledgedMs = machine.engineMs
        try reconnect()
    }

    /// Safety has been watched so far; now liveness.
    func finish() throws {
        plan.calm()
        fault_disk_mend()
        fault_disk_crash_at(.max)
        sim_machine_set_free_bytes(64 << 30)
        if machine.hasJournalJob { machine.runJournalJob() }
        if draw.chance(500) || !machine.isAlive { try crash() }
        try settle()
        guard history.violations.isEmpty else { return }
        // A database that is full takes nobody in: that is its operator's to mend.
        let isFull = (machine.server?.store.statistics.usedBytes ?? 0) * 4 >= plan.mapBytes * 3
        if isFull { tally.add("fault database full at the end") }
        for tenant in Simulation.tenants where !isFull { try freshLogin(tenant) }
        try settle()
        if let waiting = machine.server?.couriers.waiting, waiting > 0 {
            history.violation("\(waiting) messages still wait for a courier")
        }
        try readAll()
        guard history.violations.isEmpty else { return }
        digestDisk()
        for tenant in Simulation.tenants {
            guard events.isWhole(tenant) else {
                tally.add("ledgers not checked: events had expired unseen")
                continue
            }
            tally.add("ledgers checked")
            LedgerChecker(history: history, tenant: tenant, events: events.events(of: tenant)).check()
        }
    }

    private func quietStep(_ ms: UInt64) throws {
        try reconnect()
        for peer in peers where peer.kind == .courier && peer.credit < 32 && peer.waiting.isEmpty {
            var m = LeaseMessages()
            m.credit = 64
            send(Call(.lease(m), Who(tenant: peer.tenant)), on: peer)
        }
        for (push, _) in hands {
            guard let peer = peers.first(where: { $0.kind == .courier && $0.isOpen }) else { break }
            var m = ReportMessage()
            m.challenge = push.challenge
            m.send = push.send
            m.token = push.token
            m.outcome = ReportMessage.Outcome.submitted.rawValue
            send(Call(.report(m), Who(tenant: peer.tenant)), on: peer)
        }
        hands = []
        observerMoves()
        deliver()
        machine.turn()
        machine.finishJobs()
        collect()
        machine.pass(ms)
        machine.tick()
        machine.finishJobs()
        collect()
        if !machine.isAlive {
            history.violation("the process ended without a fault: \(machine.lastWords ?? "?")")
        }
    }

    /// Until no message waits: three leases of 15 s at most.
    private func settle() throws {
        for round in 0..<40 {
            try quietStep(round < 8 ? 100 : 8_000)
            if !history.violations.isEmpty { return }
            if round > 4, machine.server?.couriers.waiting == 0, machine.server?.isIdle == true { return }
        }
    }

    /// A shopper whom no limit stops gets in.
    private func freshLogin(_ tenant: UInt32) throws {
        let who = Who(tenant: tenant, account: 18, phone: 18, session: 90, purpose: 1, asker: 1)
        func web() -> Peer? { peers.first { $0.kind == .web && $0.tenant == tenant && $0.isOpen } }
        guard let peer = web() else { return history.violation("no connection after the faults") }
        request(who, on: peer)
        guard let call = recent.last else { return }
        // It may be told to come back in 200 ms: a disk that was full is looked at once a second.
        for _ in 0..<6 where history.order.last(where: { $0.who == who })?.code == nil {
            try quietStep(1_100)
            if history.order.last(where: { $0.who == who })?.code == nil, let peer = web() {
                send(call, on: peer)
            }
        }
        guard let challenge = history.order.last(where: { $0.who == who }), let code = challenge.code else {
            return history.violation("a fresh login got no code")
        }
        if let peer = web() { guess(challenge, code, on: peer) }
        try quietStep(100)
        guard let grant = challenge.grant else {
            return history.violation("a fresh login's right code wasn't accepted")
        }
        var m = RedeemGrant()
        m.requestID = newID(at: machine.engineMs)
        m.grant = grant.grant
        m.purpose = who.purpose
        m.account = account(who.account)
        m.session = session(who.session)
        if let peer = web() { send(Call(.redeem(m), who, id: m.requestID), on: peer) }
        try quietStep(100)
        if challenge.redeemed == nil { history.violation("a fresh login's grant wasn't redeemed") }
    }

    /// Every tenant's events, from the oldest kept.
    private func readAll() throws {
        var complete: [ObservedStream] = []
        for tenant in Simulation.tenants {
            guard let peer = peers.first(where: { $0.kind == .observer && $0.tenant == tenant && $0.isOpen })
            else { continue }
            subscribe(peer, .oldest, after: .zero, credit: 60_000)
            if let stream = peer.stream { complete.append(stream) }
        }
        var last = -1
        while complete.map(\.received.count).reduce(0, +) != last {
            last = complete.map(\.received.count).reduce(0, +)
            deliver()
            machine.turn()
            machine.finishJobs()
            collect()
        }
        if complete.count != Simulation.tenants.count {
            history.violation("an observer has no connection after the faults")
        }
        events.finish(complete: complete, now: machine.engineMs)
    }

    private func digestDisk() {
        guard digest.isOn else { return }
        func add(_ folder: String) {
            guard let list = opendir(folder) else { return }
            defer { closedir(list) }
            var names: [String] = []
            while let entry = readdir(list) {
                names.append(
                    withUnsafeBytes(of: &entry.pointee.d_name) {
                        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                    })
            }
            for name in names.sorted() where !name.hasPrefix(".") && name != "lock.mdb" {
                let path = folder + "/" + name
                guard let file = fopen(path, "r") else { continue }
                defer { fclose(file) }
                var info = stat()
                if stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR {
                    add(path)
                    continue
                }
                var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
                let count = fread(&bytes, 1, bytes.count, file)
                if name == "data.mdb" { blankSlack(&bytes) }
                digest.add(Array(name.utf8)[...])
                digest.add(bytes.prefix(count))
            }
        }
        add(machine.folder)
    }
}

/// LMDB doesn't clear what lies between a page's directory and its nodes: at times an address of the process is there, which differs from run to
/// run. It is no part of what the file says.
private func blankSlack(_ bytes: inout [UInt8]) {
    let pageBytes = 4_096
    var page = 0
    func word(_ offset: Int) -> Int { Int(bytes[page + offset]) | Int(bytes[page + offset + 1]) << 8 }
    while page + pageBytes <= bytes.count {
        let (flags, lower, upper) = (word(10), word(12), word(14))
        let (isTree, isOverflow) = (flags & 3 != 0, flags & 4 != 0)
        if isTree, !isOverflow, lower >= 16, lower <= upper, upper <= pageBytes {
            for index in page + lower..<page + upper { bytes[index] = 0 }
        }
        // The pages that follow an overflow page have no header.
        page += isOverflow ? max(1, lower | upper << 16) * pageBytes : pageBytes
    }
}

/// A folder of the simulation and all in it.
func removeFolder(_ path: String) {
    guard let list = opendir(path) else { return }
    var names: [String] = []
    while let entry = readdir(list) {
        names.append(
            withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            })
    }
    closedir(list)
    for name in names where name != "." && name != ".." {
        let child = path + "/" + name
        if unlink(child) != 0 { removeFolder(child) }
    }
    rmdir(path)
}
