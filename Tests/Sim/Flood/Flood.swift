import AuthServer
import CSimMachine
import Engine
import Glibc
import Store
import Wire

/// Refused requests of every kind without end, and beside them shoppers who log in. What it measures is growth: of the tables, the
/// journal and memory.
final class Flood {
    /// What was there at the end of an hour.
    struct Reading {
        var refused = 0
        var logins = 0
        var verified = 0
        var commits: UInt64 = 0
        var events = 0
        var databaseBytes = 0
        var journalBytes = 0
        var memoryKiB = 0
    }

    private let rate: Int
    private var draw: Draw
    private let machine: Machine
    private var digest = Digest()
    private var peers: [Peer] = []
    private var now = Reading()
    private var readings: [Reading] = []
    private var counts: [String: Int] = [:]
    private var shopper = 0
    private var events = 0

    init(seed: UInt64, rate: Int, folder: String) throws {
        self.rate = rate
        draw = Draw(seed)
        sim_machine_seed(seed)
        var settings = try ServerSettings(
            dataPath: folder + "/data", masterKeyPath: "", issuer: "sim",
            tenants: [TenantPolicy(number: 1, name: "one", shop: "One")], listeners: [],
            peers: [
                PeerRule(uid: 1_001, tenant: 1, roles: .all), PeerRule(uid: 1_002, tenant: 1, roles: .all),
            ])
        settings.commit = .inline
        settings.segmentBytes = 4 << 20
        settings.overlayRecords = 16_384
        settings.overlayBytes = 8 << 20
        settings.mapBytes = 1 << 30
        machine = Machine(
            folder: folder, time: SimTime(), settings: settings, listener: ListenerRule(path: "/sim"))
    }

    func begin() throws {
        guard mkdir(machine.folder, 0o700) == 0 else {
            preconditionFailure("can't make \(machine.folder): errno \(errno)")
        }
        try machine.create()
        try machine.start()
        for (kind, uid) in [
            (Peer.Kind.hostile, UInt32(1_001)), (.web, 1_002), (.courier, 1_002), (.recorder, 1_002),
        ] {
            let peer = try Peer(kind, tenant: 1, uid: uid, machine: machine)
            send(.hello(Hello()), on: peer)
            peers.append(peer)
        }
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 60_000
        send(.subscribe(subscribe), on: peers[3])
        turn()
    }

    func hour() throws {
        for second in 0..<3_600 {
            for _ in 0..<rate { refusable() }
            if second % 10 == 0 { login() }
            var lease = LeaseMessages()
            lease.credit = 64
            if second % 5 == 0 { send(.lease(lease), on: peers[2]) }
            turn()
            turn()
            machine.pass(1_000)
            machine.tick()
            machine.finishJobs()
            collect()
        }
        now.commits = machine.server?.store.statistics.commits ?? 0
        now.events = events
        now.databaseBytes = machine.server?.store.statistics.usedBytes ?? 0
        now.journalBytes = folderBytes(machine.settings.dataPath + "/journal")
        now.memoryKiB = memoryKiB()
        readings.append(now)
    }

    // MARK: requests

    private func send(_ ask: Ask, on peer: Peer) {
        let correlation = peer.nextCorrelation()
        peer.waiting[correlation] = Attempt(
            call: Call(ask, Who(tenant: 1)), sent: machine.engineMs, floor: nil)
        peer.queue(ask.encode(correlation))
    }

    private func newID() -> Bytes16 {
        let word = draw.word()
        return Bytes16(
            timeMs: machine.engineMs, tailHigh: UInt16(truncatingIfNeeded: word), tailLow: draw.word())
    }

    private func request(account: String, phone: String, session: UInt64) -> RequestCode {
        var m = RequestCode()
        m.requestID = newID()
        m.purpose = 1
        m.assurance = 1
        m.account = AccountBytes(account)
        m.phone = PhoneBytes(phone)
        m.session = Bytes32(head: Bytes16(high: 1, low: session), tail: .zero)
        return m
    }

    /// One account without end; many accounts on one phone; one account with many phones; guesses at nothing; nonsense.
    private func refusable() {
        let peer = peers[0]
        switch draw.below(10) {
        case 0..<4:
            send(
                .requestCode(request(account: "victim", phone: "+33611111111", session: draw.word() | 1)),
                on: peer)
        case 4..<6:
            let account = "account-\(draw.below(1_000_000))"
            send(
                .requestCode(request(account: account, phone: "+33622222222", session: draw.word() | 1)),
                on: peer)
        case 6..<8:
            let phone = "+3363\(1_000_000 + draw.below(9_000_000))"
            send(.requestCode(request(account: "pumper", phone: phone, session: draw.word() | 1)), on: peer)
        case 8:
            var m = Verify()
            m.requestID = newID()
            m.challenge = Bytes16(timeMs: machine.engineMs, tailHigh: 1, tailLow: draw.word())
            m.session = Bytes32(head: draw.bytes16(), tail: .zero)
            m.code = CodeBytes("123456")
            send(.verify(m), on: peer)
        default: send(.requestCode(request(account: "x", phone: "0600", session: 1)), on: peer)
        }
    }

    private func login() {
        shopper += 1
        now.logins += 1
        let phone = "+3364\(1_000_000 + shopper % 5_000)"
        send(
            .requestCode(
                request(account: "shopper-\(shopper % 5_000)", phone: phone, session: UInt64(shopper))),
            on: peers[1])
    }

    // MARK: answers

    private func turn() {
        for peer in peers { peer.deliver(.max, &digest) }
        machine.turn()
        machine.finishJobs()
        collect()
    }

    private func collect() {
        let arrived = machine.arrivals
        machine.arrivals.removeAll(keepingCapacity: true)
        for (peer, bytes) in arrived {
            peer.received(bytes)
            peer.takeFrames(&digest) { frame in received(frame, peer) }
        }
    }

    private func received(_ frame: Frame, _ peer: Peer) {
        do {
            if frame.flags == .push { return try pushed(frame, peer) }
            guard let attempt = peer.waiting.removeValue(forKey: frame.correlation) else { return }
            let answer = try Answer.decode(frame, to: attempt.call.ask)
            counts[answer.status.map { "\($0)" } ?? "?", default: 0] += 1
            switch answer {
            case .refused: now.refused += peer === peers[0] ? 1 : 0
            case .verified: now.verified += 1
            default: break
            }
        } catch { preconditionFailure("a frame of the server that can't be read: \(error)") }
    }

    private func pushed(_ frame: Frame, _ peer: Peer) throws {
        switch Opcode(rawValue: frame.opcode) {
        case .message:
            let push = try FieldDecoder.decode(MessagePush.self, from: frame.body)
            var report = ReportMessage()
            report.challenge = push.challenge
            report.send = push.send
            report.token = push.token
            report.outcome = ReportMessage.Outcome.submitted.rawValue
            send(.report(report), on: peer)
            guard push.phone.text.hasPrefix("+3364") else { return }
            var verify = Verify()
            verify.requestID = newID()
            verify.challenge = push.challenge
            verify.session = Bytes32(head: Bytes16(high: 1, low: UInt64(shopper)), tail: .zero)
            verify.code = CodeBytes(String(push.text.text.prefix { $0 != " " }))
            send(.verify(verify), on: peers[1])
        case .event:
            let event = try FieldDecoder.decode(EventPush.self, from: frame.body)
            events += 1
            guard events % 20_000 == 0 else { return }
            var acknowledge = Acknowledge()
            acknowledge.cursor = event.cursor
            acknowledge.credit = 20_000
            send(.acknowledge(acknowledge), on: peer)
        default: break
        }
    }

    // MARK: figures

    private func folderBytes(_ path: String) -> Int {
        guard let list = opendir(path) else { return 0 }
        defer { closedir(list) }
        var bytes = 0
        while let entry = readdir(list) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var info = stat()
            if stat(path + "/" + name, &info) == 0, info.st_mode & S_IFMT == S_IFREG {
                bytes += Int(info.st_size)
            }
        }
        return bytes
    }

    private func memoryKiB() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        guard fgets(&text, 128, file) != nil else { return 0 }
        let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ")
        // Resident, less what is shared with files: LMDB's map isn't ours.
        return fields.count > 2 ? ((Int(fields[1]) ?? 0) - (Int(fields[2]) ?? 0)) * 4 : 0
    }

    func line(_ hour: Int) -> String {
        guard let r = readings.last else { return "" }
        let numbers = [
            hour, r.refused, r.logins, r.verified, Int(r.commits), r.events, r.databaseBytes / 1_024,
            r.journalBytes / 1_024, r.memoryKiB,
        ]
        let widths = [4, 8, 8, 8, 8, 8, 12, 12, 12]
        return zip(numbers, widths).map { number, width in
            let text = "\(number)"
            return String(repeating: " ", count: max(0, width - text.utf8.count)) + text
        }.joined(separator: "  ")
    }

    var statuses: String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    /// Bounds of a flood: refusals that have events of their own (10 a key and minute; three keys here), counting events, and what
    /// honest log-ins leave.
    func failures(hours: Int) -> [String] {
        guard let first = readings.first, let last = readings.last else { return ["nothing was measured"] }
        var failures: [String] = []
        if last.verified != last.logins {
            failures.append(
                "\(last.logins - last.verified) of \(last.logins) honest log-ins weren't verified")
        }
        let eventBound = hours * 60 * (4 * 10 + 32) + last.logins * 4 + 1_000
        if last.events > eventBound { failures.append("\(last.events) events; the bound is \(eventBound)") }
        let databaseBound = 4 << 20 + last.events * 1_024 + last.logins * 8_192
        if last.databaseBytes > databaseBound {
            failures.append("the database has \(last.databaseBytes) bytes; the bound is \(databaseBound)")
        }
        if last.memoryKiB > first.memoryKiB + 16_384 {
            failures.append("memory grew from \(first.memoryKiB) to \(last.memoryKiB) KiB")
        }
        if last.journalBytes > 8 * machine.settings.segmentBytes {
            failures.append("the journal has \(last.journalBytes) bytes")
        }
        return failures
    }
}
