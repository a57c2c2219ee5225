import Engine
import LibCrypto
import Store
import Wire

@testable import AuthServer

/// What lives in the server's memory, under peers that connect, end and say anything: no trap, no reply that
/// doesn't fit its frame, every list within its bound. Input: steps, each a byte (which peer, and what) with
/// its choices; `DesksScript` says how they are read.
enum DesksFuzz: FuzzTarget {
    static let name = "desks"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 2_048 else { return }
        let script: DesksScript
        do { script = try DesksScript() } catch {
            throw FuzzFailure(description: "the harness has no server: \(error)")
        }
        defer { script.end() }
        var input = FuzzInput(bytes)
        while !input.isEmpty {
            script.step(&input)
            try script.check()
        }
        try script.checkRoutes()
    }
}

/// Up to eight peers at a batch without a loop, its clock and its syncs moved by hand.
final class DesksScript {
    private static let uids: [UInt32] = [1_000, 1_001, 1_002, 1_003]
    /// What passes in a step: inside a lease, past one, past what makes a route stale, past what a wish is
    /// kept.
    private static let pauses: [UInt64] = [1, 499, 15_000, 60_000, 3_600_000, 90_000_000, 50, 1_000]
    /// Frames whose body is the input's.
    private static let opcodes: [Opcode] = [
        .reportRoute, .showRoute, .drainRoute, .leaseMessages, .subscribe, .acknowledge, .reportMessage,
        .reportReceipt, .stats, .ping,
        .requestCode, .verify, .status, .quota, .checkGrant, .hello,
    ]
    private static let master: [UInt8] = Array(0..<32)
    private static let folder = FuzzFolder()
    private static let scratch = ScratchMemory(bytes: FrameLimits.maxFrameBytes)
    private static let settings: ServerSettings = {
        do {
            let host: Roles = [Roles(.courier), Roles(.receipts)]
            var settings = try ServerSettings(
                dataPath: "", masterKeyPath: "", issuer: "fuzz",
                tenants: [TenantPolicy(number: 1, name: "shop", shop: "Shop")],
                listeners: [ListenerRule(path: "/")],
                peers: [
                    PeerRule(uid: uids[0], tenant: 1, roles: .all),
                    PeerRule(uid: uids[1], tenant: 1, roles: host),
                    PeerRule(uid: uids[2], tenant: 1, roles: [Roles(.verify), Roles(.redeem)]),
                    PeerRule(uid: uids[3], tenant: 1, roles: [Roles(.observer), Roles(.admin)]),
                ])
            (settings.commit, settings.runsJobsByHand, settings.mapBytes) = (.inline, true, 64 << 20)
            (settings.segmentBytes, settings.overlayBytes, settings.overlayRecords) = (
                256 << 10, 512 << 10, 2_048
            )
            return settings
        } catch { fatalError("the harness has no settings: \(error)") }
    }()

    private let batch: Batch
    private let clock: Clock
    private var peers: [DesksPeer?] = Array(repeating: nil, count: 8)
    private var asked: UInt64 = 0
    private let ended = Ended()

    private final class Clock: @unchecked Sendable {
        /// Fuzzing has one thread, and the replay is `.serialized`.
        var passedMs: UInt64 = 0
    }

    /// Why the server would have ended its process.
    private final class Ended: @unchecked Sendable { var why: String? }

    init() throws {
        let path = DesksScript.folder.path + "/data"
        FuzzFolder.removeTree(path)
        let master = SecretBytes(count: 32) { $0.copyBytes(from: DesksScript.master) }
        try Store.create(at: path, master: master)
        var settings = DesksScript.settings
        settings.dataPath = path
        let clock = Clock()
        settings.clockSource = {
            ClockSource(
                bootID: (1, 7), boottimeMs: { 1_000_000 + clock.passedMs },
                wallMs: { 1_800_000_000_000 + clock.passedMs })
        }
        self.clock = clock
        simulatedEnd = { [ended] why in ended.why = ended.why ?? why }
        batch = try ServerCore(settings, master: master).makeBatch { _ in }
        // Everybody is there from the start: a short input already means something.
        for slot in peers.indices { connect(slot, UInt8(slot & 3)) }
        turn()
    }

    func end() {
        for peer in peers { peer?.connection.ended() }
        batch.letGo()
        batch.store.onSynced = nil
        batch.store.onCheckpointDone = nil
        batch.store.abandon()
        simulatedEnd = nil
    }

    private func turn() {
        while batch.wantsTurn, ended.why == nil {
            batch.turn()
            for slot in peers.indices where peers[slot]?.hasEnded ?? false {
                peers[slot]?.connection.ended()
                peers[slot] = nil
            }
        }
    }

    func step(_ input: inout FuzzInput) {
        let what = input.u8()
        let slot = Int(what & 7)
        switch what >> 3 {
        case 0, 1: connect(slot, input.u8())
        case 2:
            peers[slot]?.connection.ended()
            peers[slot] = nil
        case 3: pause(input.u8())
        case 4: peers[slot]?.say(Array(input.take(Int(input.u8()))))
        case 5, 6, 7: reportRoute(slot, input.u8(), input.u8())
        case 8: drainRoute(slot, input.u8(), input.u8())
        case 9: showRoute(slot, input.u8())
        case 10: lease(slot, input.u8())
        case 11, 12: ask(slot)
        case 13: report(slot, input.u8())
        case 14: flood(slot, input.u8())
        case 15: peers[slot]?.isReading.toggle()
        case let number:
            let body = Array(input.take(Int(input.u8())))
            peers[slot]?.say(frame(DesksScript.opcodes[Int(number) & 15], body))
        }
        turn()
    }

    private func connect(_ slot: Int, _ choice: UInt8) {
        peers[slot]?.connection.ended()
        let connection = Connection(
            batch: batch, listener: ListenerRule(path: "/"), uid: DesksScript.uids[Int(choice & 3)])
        let peer = DesksPeer(connection)
        peers[slot] = peer
        connection.begin(on: peer)
        if choice & 4 == 0 {
            peer.say(frame(.hello, bytes(0x6F74_7064 as UInt32) + [0, 1, 0, 1, 0, 0, 0, 0, 0, 0]))
        }
    }

    private func pause(_ choice: UInt8) {
        clock.passedMs += DesksScript.pauses[Int(choice) % DesksScript.pauses.count]
        batch.tick()
        batch.lookAgain()
    }

    private func reportRoute(_ slot: Int, _ name: UInt8, _ rest: UInt8) {
        peers[slot]?.say(
            frame(
                .reportRoute,
                gateway(name) + [1 + rest % 4, rest >> 2 & 1] + [UInt8](repeating: rest, count: 20))
        )
    }

    /// As many names as one connection may have, and one more.
    private func flood(_ slot: Int, _ rest: UInt8) {
        for number in 0...UInt8(RouteDesk.mostOfOne) {
            peers[slot]?.say(
                frame(.reportRoute, [2, rest, number, 1, rest & 1] + [UInt8](repeating: 0, count: 20)))
            turn()
        }
    }

    private func drainRoute(_ slot: Int, _ name: UInt8, _ drained: UInt8) {
        peers[slot]?.say(frame(.drainRoute, gateway(name) + [drained & 1]))
    }

    /// One of the first, or far behind the last.
    private func showRoute(_ slot: Int, _ index: UInt8) {
        peers[slot]?.say(frame(.showRoute, [0, index < 0xE0 ? index & 7 : index]))
    }

    /// Names from none to longer than there may be.
    private func gateway(_ choice: UInt8) -> [UInt8] {
        [choice % 40] + [UInt8](repeating: 0x61 + choice / 40, count: Int(choice % 40))
    }

    private func lease(_ slot: Int, _ choice: UInt8) {
        peers[slot]?.say(frame(.leaseMessages, [0, choice] + bytes(UInt32(choice) << 7)))
    }

    /// A code for a shopper of its own.
    private func ask(_ slot: Int) {
        asked += 1
        let now = batch.clock.now().engineMs
        var body = bytes(now << 16 | asked) + bytes(asked) + [0, 1, 1, 8] + bytes(asked)
        body +=
            [12] + Array("+3361234".utf8) + Array(String(1_000 + asked % 9_000).utf8)
            + [UInt8](repeating: 1, count: 32)
        peers[slot]?.say(frame(.requestCode, body))
    }

    /// On the message that this peer was pushed last.
    private func report(_ slot: Int, _ outcome: UInt8) {
        guard let lease = peers[slot]?.lease else { return }
        peers[slot]?.say(frame(.reportMessage, lease + [outcome & 7]))
    }

    private func frame(_ opcode: Opcode, _ body: [UInt8]) -> [UInt8] {
        bytes(UInt32(8 + body.count)) + bytes(opcode.rawValue) + [0, 0, 0, 0, 0, 7] + body
    }

    private func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    // MARK: what must hold

    /// Whatever the desk keeps can be told.
    func checkRoutes() throws(FuzzFailure) {
        for index in 0..<batch.routes.count {
            let reply = batch.routes.show(UInt16(index), now: batch.clock.now().engineMs)
            let opcode = Opcode.showRoute.rawValue
            do throws(WireError) {
                let frame = DesksScript.scratch.slice(0, FrameLimits.maxFrameBytes)
                _ = try FieldEncoder.reply(reply, to: opcode, correlation: 0, into: frame)
            } catch { throw FuzzFailure(description: "route \(index) is kept and can't be told: \(error)") }
        }
    }

    func check() throws(FuzzFailure) {
        if let why = ended.why { throw FuzzFailure(description: "the process would have ended: \(why)") }
        try expect(batch.unfit.total == 0, "a frame of our own didn't fit")
        try expect(batch.routes.count <= RouteDesk.most, "\(batch.routes.count) routes")
        try expect(batch.routes.wishCount <= DrainWishes.most, "\(batch.routes.wishCount) wishes")
        for case let peer? in peers {
            let connection = peer.connection
            try expect(
                connection.courierCredit <= UInt16(Bounds.maxInFlight),
                "a credit of \(connection.courierCredit)")
            try expect(
                (Bounds.leastLeaseMs...Bounds.leaseMs).contains(connection.leaseMs),
                "a lease of \(connection.leaseMs) ms")
            try expect(connection.subscription?.credit ?? 0 <= 1 << 16, "a subscription's credit")
            if let fault = peer.fault { throw FuzzFailure(description: fault) }
        }
    }
}

/// A peer that judges what it is sent.
private final class DesksPeer: Transport {
    let connection: Connection
    var isReading = true {
        didSet { if isReading { connection.canSend() } }
    }
    private(set) var fault: String?
    /// Challenge, send and token of the newest push.
    private(set) var lease: [UInt8]?
    private var received: [UInt8] = []
    /// The server has closed it; the script says so to its connection.
    private(set) var hasEnded = false

    init(_ connection: Connection) { self.connection = connection }

    func say(_ bytes: [UInt8]) {
        guard !hasEnded else { return }
        bytes.withUnsafeBytes { connection.received($0) }
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard isReading else { return 0 }
        received += bytes
        var offset = 0
        received.withUnsafeBytes { bytes in
            while let total = take(UnsafeRawBufferPointer(rebasing: bytes[offset...])) { offset += total }
        }
        received.removeFirst(offset)
        return bytes.count
    }

    /// Judges the first whole frame.
    private func take(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let frame: Frame?
        do throws(WireError) { frame = try Frame.next(in: bytes) } catch {
            fault = "the server sent what isn't a frame: \(error)"
            return nil
        }
        guard let frame else { return nil }
        if frame.flags == .reply, frame.body.count >= 2, frame.body[0] == 0x0F, frame.body[1] == 0 {
            fault = "a reply is unknown"
        }
        if frame.opcode == Opcode.message.rawValue { lease = Array(frame.body.prefix(33)) }
        if frame.opcode == Opcode.showRoute.rawValue, frame.body.count > 2, frame.body[0] == 0,
            frame.body[1] == 0,
            (try? FieldDecoder.decode(
                ShowRoute.Reply.self, from: UnsafeRawBufferPointer(rebasing: frame.body.dropFirst(2)))) == nil
        {
            fault = "a route that was shown doesn't decode"
        }
        return frame.totalBytes
    }

    func stopReading() {}
    func close() { hasEnded = true }
}
