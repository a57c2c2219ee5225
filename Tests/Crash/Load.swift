import CLinuxShim
import Wire

/// The full mix from many clients, with couriers that report and an observer: every choice is the generator's.
final class Load {
    /// How much.
    struct Shape {
        var clients = 16
        /// Requests of the clients in all; then the load ends by itself.
        var requests = Int.max
        /// Small turns of the clock now and then, so that checkpoints come.
        var turnsClock = true
    }

    private struct Client {
        var request = RequestCode()
        var challenge: Bytes16?
        var grant: Bytes32?
        /// Replies that haven't come.
        var waiting = 0
    }

    private let server: CrashServer
    private let log: OracleLog
    private let shape: Shape
    private var generator: SeededGenerator
    private var clients: [Client]
    private var peers: [Peer] = []
    private var codes: [Bytes16: CodeBytes] = [:]
    private var shoppers: UInt64
    private var made = 0
    private var pushes = 0
    private var hasLeapt = false
    /// Replies that came.
    private(set) var replies = 0

    /// - Parameter shoppers: number of the first account and phone; the next 10,000 are this load's own.
    init(_ server: CrashServer, _ log: OracleLog, _ shape: Shape, seed: UInt64, firstShopper shoppers: UInt64) {
        self.server = server
        self.log = log
        self.shape = shape
        self.shoppers = shoppers
        generator = SeededGenerator(seed: seed)
        clients = [Client](repeating: Client(), count: shape.clients)
    }

    /// Runs until the server has gone, the requests are done, or `milliseconds` have passed. A server that goes is no error here.
    func run(numbers: inout Int, milliseconds: UInt64) throws {
        do {
            for _ in 0..<shape.clients + 3 {
                numbers += 1
                peers.append(try Peer(server.socket, number: numbers, log: log))
            }
        } catch is CrashError { return }
        let deadline = linux_monotonic_nanos() + milliseconds * 1_000_000
        for courier in shape.clients..<shape.clients + 2 { try lease(peers[courier]) }
        var subscribe = Subscribe()
        subscribe.credit = 60_000
        try peers[shape.clients + 2].queue(subscribe)
        for index in clients.indices { try act(index) }
        try flush()
        while linux_monotonic_nanos() < deadline {
            for index in readable(peers, milliseconds: 20) {
                for frame in try peers[index].receive() { try take(frame, from: index) }
            }
            if peers.allSatisfy(\.isDead) { return }
            if made >= shape.requests, clients.allSatisfy({ $0.waiting == 0 }) { return try flush() }
            // Clients that waited for a code which doesn't come go on.
            for index in clients.indices where clients[index].waiting == 0 { try act(index) }
            try turnClock()
            try flush()
        }
    }

    private func flush() throws {
        try log.sync()
        for peer in peers { peer.flush() }
    }

    private func lease(_ peer: Peer) throws {
        var message = LeaseMessages()
        message.credit = 64
        try peer.queue(message)
    }

    /// A second and more makes a checkpoint due; half a minute ends leases and resend gaps.
    private func turnClock() throws {
        guard shape.turnsClock, generator.chance(4) else { return }
        let leaps = !hasLeapt && generator.chance(20)
        hasLeapt = hasLeapt || leaps
        let step: Int64 = leaps ? 31_000 : 1_100
        try log.turned(step)
        server.control.boottimeShiftMs += step
    }

    // MARK: the shoppers

    private func act(_ index: Int) throws {
        guard made < shape.requests, !peers[index].isDead else { return }
        guard let challenge = clients[index].challenge else { return try open(index) }
        if let grant = clients[index].grant { return try spend(grant, index) }
        switch (generator.next() % 100, codes[challenge]) {
        case (0..<35, let code?): try verify(index, challenge, CodeBytes(code.array.map { ($0 - 0x30 + 1) % 10 + 0x30 }))
        case (35..<70, let code?): try verify(index, challenge, code)
        case (70..<76, _):
            var message = Cancel()
            message.requestID = peers[index].requestID(&generator)
            message.challenge = challenge
            message.session = clients[index].request.session
            try send(message, index)
        case (76..<86, _):
            var message = Resend()
            message.requestID = peers[index].requestID(&generator)
            message.challenge = challenge
            message.session = clients[index].request.session
            try send(message, index)
        case (86..<92, _):
            // The same key again: joined inside the gap, resent after it.
            var message = clients[index].request
            message.requestID = peers[index].requestID(&generator)
            try send(message, index)
        case (92..<96, _): try open(index)
        default: break
        }
    }

    private func open(_ index: Int) throws {
        shoppers += 1
        var message = RequestCode()
        message.requestID = peers[index].requestID(&generator)
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("account-\(shoppers)")
        let digits = String(shoppers)
        message.phone = PhoneBytes("+336" + String(repeating: "0", count: 8 - digits.count) + digits)
        message.session = Bytes32(head: Bytes16(high: generator.next(), low: 1), tail: Bytes16(high: 2, low: 3))
        clients[index] = Client(request: message)
        try send(message, index)
    }

    private func verify(_ index: Int, _ challenge: Bytes16, _ code: CodeBytes) throws {
        var message = Verify()
        message.requestID = peers[index].requestID(&generator)
        message.challenge = challenge
        message.session = clients[index].request.session
        message.code = code
        try send(message, index)
    }

    private func spend(_ grant: Bytes32, _ index: Int) throws {
        guard generator.chance(75) else { return try open(index) }
        var message = RedeemGrant()
        message.requestID = peers[index].requestID(&generator)
        message.grant = grant
        message.purpose = 1
        message.account = clients[index].request.account
        message.session = clients[index].request.session
        try send(message, index)
    }

    /// One in twelve goes out twice, back to back: a retry that came too early.
    private func send<M: RequestMessage>(_ message: M, _ index: Int) throws {
        let copies = generator.chance(8) ? 2 : 1
        for _ in 0..<copies { try peers[index].queue(message) }
        clients[index].waiting += copies
        made += 1
    }

    // MARK: what comes

    private func take(_ frame: LoggedFrame, from index: Int) throws {
        if frame.flags == .push {
            if frame.opcode == Opcode.message.rawValue { try deliver(try frame.decode(MessagePush.self), peers[index]) }
            return
        }
        guard index < shape.clients else { return }
        replies += 1
        clients[index].waiting -= 1
        guard let opcode = Opcode(rawValue: frame.opcode) else { return }
        switch (opcode, frame.status) {
        case (.requestCode, .done): clients[index].challenge = try frame.decode(ChallengeReply.self).challenge
        case (.verify, .done): clients[index].grant = try frame.decode(Verify.Reply.self).grant
        case (.requestCode, _), (.verify, .challengeNotOpen), (.cancel, _), (.redeemGrant, _):
            clients[index].challenge = nil
            clients[index].grant = nil
        default: break
        }
    }

    private func deliver(_ message: MessagePush, _ peer: Peer) throws {
        codes[message.challenge] = code(of: message)
        pushes += 1
        if pushes % 16 == 0 { try lease(peer) }
        switch generator.next() % 100 {
        case 0..<55: try report(message, .submitted, peer)
        case 55..<65:
            try report(message, .submitted, peer)
            try report(message, .delivered, peer)
        case 65..<72: try report(message, .transientFailure, peer)
        case 72..<76: try report(message, .permanentFailure, peer)
        default: break
        }
    }

    private func report(_ message: MessagePush, _ outcome: ReportMessage.Outcome, _ peer: Peer) throws {
        try peer.queue(reportOn(message, outcome))
    }
}

/// The code of a message: the text's first word.
func code(of message: MessagePush) -> CodeBytes { CodeBytes(message.text.array.prefix { $0 != 0x20 }) }

/// A courier's word on a push.
func reportOn(_ message: MessagePush, _ outcome: ReportMessage.Outcome) -> ReportMessage {
    var report = ReportMessage()
    report.challenge = message.challenge
    report.send = message.send
    report.token = message.token
    report.outcome = outcome.rawValue
    return report
}
