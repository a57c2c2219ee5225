import CLinuxShim
import Glibc
import Wire

/// Asks a server that has just come back for everything that was ever acknowledged, and for what is still owed.
final class Checker {
    /// What was found to be there, for the report.
    struct Totals {
        var acceptances = 0, wrong = 0, debits = 0, redeemed = 0, events = 0, messages = 0, uncertain = 0, replies = 0
    }

    private let server: CrashServer
    private let log: OracleLog
    private let logPath: String
    private let writer: Peer
    private let reader: Peer
    private var generator: SeededGenerator
    /// All events of the last check: the next one must begin with them.
    private(set) var formerEvents: [EventPush]
    private(set) var totals = Totals()

    /// Connects; the first reply of the new life.
    init(
        _ server: CrashServer, _ log: OracleLog, _ logPath: String, numbers: inout Int, formerEvents: [EventPush], seed: UInt64
    ) throws {
        self.server = server
        self.log = log
        self.logPath = logPath
        self.formerEvents = formerEvents
        generator = SeededGenerator(seed: seed)
        writer = try Peer(server.socket, number: numbers + 1, log: log)
        reader = try Peer(server.socket, number: numbers + 2, log: nil)
        numbers += 2
    }

    /// All of it. `shopper`: a number that no load uses.
    func check(shopper: UInt64) throws {
        try awaitRoom()
        try retryUncertain()
        try log.turned(16_000)
        server.control.boottimeShiftMs += 16_000
        try writer.learnTime()
        try reader.learnTime()
        let deadline = linux_monotonic_nanos() + 5_000_000_000
        var history: History
        var challenges: [Bytes16: ExpectedChallenge]
        var events: [EventPush]
        var messages: MessageCheck
        var stream: EventStream
        repeat {
            try takeMessages()
            history = try History(try LogEntry.read(logPath))
            challenges = try history.challenges()
            events = try allEvents()
            stream = try EventStream(events)
            messages = try MessageCheck(history, challenges, stream)
            // A busy machine gets its time.
        } while messages.owed != nil && linux_monotonic_nanos() < deadline
        guard events.starts(with: formerEvents, by: { $0.isSame($1) }) else {
            throw Violation("events that were read before are gone or changed (\(formerEvents.count) then, \(events.count) now)")
        }
        for event in history.events {
            guard stream.holds(event) else { throw Violation("an event that was pushed is gone: \(event.cursor)") }
        }
        try stream.check(challenges, history)
        try check(Array(challenges.values))
        try messages.run()
        formerEvents = events
        try freshCycle(shopper)
        count(history, challenges, events)
    }

    private func count(_ history: History, _ challenges: [Bytes16: ExpectedChallenge], _ events: [EventPush]) {
        totals.acceptances = challenges.values.count { $0.isVerified }
        totals.wrong = challenges.values.map(\.wrong).reduce(0, +)
        totals.debits = challenges.values.map { $0.resends + 1 }.reduce(0, +)
        totals.redeemed = challenges.values.count { $0.redeem != nil }
        totals.events = events.count
        totals.messages = history.pushes.count
        totals.replies = history.replyCount
    }

    /// A server that found no room for a checkpoint takes no writes until it has tried again, a second later.
    private func awaitRoom() throws {
        for _ in 0..<25 {
            var nothing = Cancel()
            nothing.requestID = writer.requestID(&generator)
            guard try writer.exchange(nothing).status == .overloaded else { return }
            usleep(200_000)
        }
    }

    // MARK: what is uncertain becomes certain

    /// The same bytes again: it acts now or says what it did, and never both.
    private func retryUncertain() throws {
        let history = try History(try LogEntry.read(logPath))
        let uncertain = history.acts.filter { !$0.isAnswered }
        totals.uncertain = uncertain.count
        for start in stride(from: 0, to: uncertain.count, by: 32) {
            let part = uncertain[start..<min(start + 32, uncertain.count)]
            let replies = try writer.reply(to: part.map { writer.queueAgain($0.opcode.rawValue, $0.body) })
            for (act, reply) in zip(part, replies) {
                guard let status = reply.status, allowed(act.opcode, status) else {
                    throw Violation("a retry of \(act.opcode) after the crash: \(String(describing: reply.status))")
                }
            }
        }
    }

    private func allowed(_ opcode: Opcode, _ status: Status) -> Bool {
        switch opcode {
        case .requestCode, .resend: status == .done || status == .limited || status == .challengeNotOpen || status == .startAnew
        case .verify: status == .done || status == .wrongCode || status == .alreadyVerified || status == .challengeNotOpen
        case .cancel: status == .done || status == .challengeNotOpen
        case .redeemGrant: status == .done || status == .grantInvalid
        case .reportMessage: status == .done || status == .leaseNotHeld
        case .reportReceipt: status == .done || status == .referenceUnknown
        default: false
        }
    }

    // MARK: what is owed

    /// After every lease has ended: messages that are still owed come, and are reported.
    private func takeMessages() throws {
        while true {
            var lease = LeaseMessages()
            lease.credit = 64
            try writer.queue(lease)
            try log.sync()
            writer.flush()
            var pushed = 0
            while writer.hasInput(milliseconds: 40) {
                for frame in try writer.receive() where frame.opcode == Opcode.message.rawValue {
                    pushed += 1
                    try writer.queue(reportOn(try frame.decode(MessagePush.self), .submitted))
                }
                guard !writer.isDead else { throw Violation("otpd ended while it delivered: \(server.said())") }
                try log.sync()
                writer.flush()
            }
            if pushed < 64 { return }
        }
    }

    /// Everything that is kept, from the oldest to the head.
    private func allEvents() throws -> [EventPush] {
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 60_000
        let number = try reader.queue(subscribe)
        reader.flush()
        var events: [EventPush] = []
        var head: Cursor?
        while head == nil || events.last?.cursor != head {
            guard reader.hasInput(milliseconds: 5_000) else { throw Violation("the events end before the head") }
            for frame in try reader.receive() {
                if frame.flags == .push { events.append(try frame.decode(EventPush.self)) }
                if frame.flags == .reply, frame.correlation == number {
                    head = try frame.decode(Subscribe.Reply.self).head
                    // What came before it was the flow of an earlier Subscribe.
                    events.removeAll()
                }
            }
            guard !reader.isDead else { throw Violation("otpd ended while it pushed events: \(server.said())") }
        }
        return events
    }

    // MARK: what was acknowledged

    private func check(_ challenges: [ExpectedChallenge]) throws {
        for start in stride(from: 0, to: challenges.count, by: 16) {
            let part = Array(challenges[start..<min(start + 16, challenges.count)])
            try checkStates(part)
            try checkUses(part)
        }
        var sends: [String: Int] = [:]
        for challenge in challenges {
            let account = challenge.request.account.text
            sends[account] = challenge.isVerified ? -1_000 : sends[account, default: 0] + 1 + challenge.resends
        }
        for start in stride(from: 0, to: challenges.count, by: 32) {
            try checkDebits(Array(challenges[start..<min(start + 32, challenges.count)]), sends)
        }
    }

    private func checkStates(_ part: [ExpectedChallenge]) throws {
        var numbers: [UInt32] = []
        for expected in part {
            var status = StatusRequest()
            status.challenge = expected.id
            status.session = expected.request.session
            numbers.append(try reader.queue(status))
        }
        for (expected, frame) in zip(part, try reader.reply(to: numbers)) {
            guard frame.status == .done else { throw Violation("an acknowledged challenge is gone: \(expected.id)") }
            let stored = try frame.decode(StatusRequest.Reply.self)
            let state = StatusRequest.State(rawValue: stored.state)
            let isExpired = state == .expired && expected.state == .open
            guard state == expected.state || isExpired else {
                throw Violation("\(expected.id) is \(String(describing: state)), acknowledged was \(expected.state)")
            }
            guard Int(stored.attemptsLeft) == 5 - expected.wrong || expected.isVerified else {
                throw Violation("\(expected.id): \(expected.wrong) wrong codes acknowledged, \(stored.attemptsLeft) attempts left (P3)")
            }
            guard Int(stored.sendsLeft) == 2 - expected.resends || expected.state != .open else {
                throw Violation("\(expected.id): \(expected.resends) resends acknowledged, \(stored.sendsLeft) sends left")
            }
        }
    }

    /// Used codes and spent grants stay so; a fresh request id doesn't help.
    private func checkUses(_ part: [ExpectedChallenge]) throws {
        var numbers: [(UInt32, ExpectedChallenge, Status)] = []
        for expected in part {
            guard let verify = try expected.rightVerify?.decode(Verify.self) else { continue }
            var again = verify
            again.requestID = reader.requestID(&generator)
            numbers.append((try reader.queue(again), expected, .challengeNotOpen))
            guard let grant = expected.grants.first else { continue }
            if let redeem = expected.redeem {
                var second = try redeem.decode(RedeemGrant.self)
                second.requestID = reader.requestID(&generator)
                numbers.append((try reader.queue(second), expected, .grantInvalid))
                numbers.append((reader.queueAgain(redeem.opcode.rawValue, redeem.body), expected, .done))
            } else {
                var check = CheckGrant()
                check.grant = grant
                check.purpose = 1
                check.account = expected.request.account
                check.session = expected.request.session
                let isOver = expected.grantEndMs <= reader.now
                numbers.append((try reader.queue(check), expected, isOver ? .grantInvalid : .done))
            }
        }
        let replies = try reader.reply(to: numbers.map(\.0))
        for ((_, expected, status), reply) in zip(numbers, replies) where reply.status != status {
            // On the grant's last second the two clocks may differ.
            if status == .done, expected.redeem == nil, expected.grantEndMs < reader.now + 2_000 { continue }
            throw Violation("\(expected.id): \(String(describing: reply.status)) instead of \(status) on a code or grant that was used")
        }
    }

    private func checkDebits(_ part: [ExpectedChallenge], _ sends: [String: Int]) throws {
        var numbers: [UInt32] = []
        for expected in part {
            var quota = Quota()
            quota.purpose = 1
            quota.assurance = Assurance.firstFactor.rawValue
            quota.account = expected.request.account
            quota.phone = expected.request.phone
            // Another session: not the open challenge again but one more send.
            quota.session = Bytes32(head: expected.request.session.tail, tail: expected.request.session.head)
            numbers.append(try reader.queue(quota))
        }
        for (expected, reply) in zip(part, try reader.reply(to: numbers)) {
            let unverified = max(0, sends[expected.request.account.text] ?? 0)
            if reply.status == .limited, unverified > 0 { continue }
            guard reply.status == .done else { throw Violation("Quota for \(expected.id): \(String(describing: reply.status))") }
            let left = Int(try reply.decode(Quota.Reply.self).sendsLeftHour)
            guard left == 5 - unverified else {
                throw Violation("\(expected.id): \(unverified) sends acknowledged, \(left) of 5 left (P4)")
            }
        }
    }

    // MARK: it goes on

    /// A shopper who comes now is served.
    private func freshCycle(_ shopper: UInt64) throws {
        var request = RequestCode()
        request.requestID = writer.requestID(&generator)
        request.purpose = 1
        request.assurance = Assurance.firstFactor.rawValue
        request.account = AccountBytes("fresh-\(shopper)")
        let digits = String(shopper)
        request.phone = PhoneBytes("+337" + String(repeating: "0", count: 8 - digits.count) + digits)
        request.session = Bytes32(head: Bytes16(high: 1, low: shopper), tail: Bytes16(high: 2, low: 3))
        try freshVerify(writer, request, &generator)
    }
}

/// One request and its verify, with this peer as the courier too; throws unless the code is accepted.
func freshVerify(_ peer: Peer, _ request: RequestCode, _ generator: inout SeededGenerator) throws {
    var lease = LeaseMessages()
    lease.credit = 64
    _ = try peer.exchange(lease)
    var reply = try peer.exchange(request)
    // A checkpoint that found no room is tried again after a second; until it is done the server can't know that there is room.
    for _ in 0..<25 where reply.status == .overloaded {
        usleep(200_000)
        reply = try peer.exchange(request)
    }
    guard reply.status == .done else { throw Violation("a fresh request after the crash: \(String(describing: reply.status))") }
    let challenge = try reply.decode(ChallengeReply.self).challenge
    var right: CodeBytes? = peer.pushed[challenge].map { code(of: $0) }
    while right == nil {
        guard peer.hasInput(milliseconds: 5_000) else { throw Violation("no message came for a fresh request") }
        _ = try peer.receive()
        guard !peer.isDead else { throw Violation("otpd ended in a fresh request") }
        right = peer.pushed[challenge].map { code(of: $0) }
    }
    guard let message = peer.pushed[challenge], let right else { return }
    _ = try peer.exchange(reportOn(message, .submitted))
    var verify = Verify()
    verify.requestID = peer.requestID(&generator)
    verify.challenge = challenge
    verify.session = request.session
    verify.code = right
    let verified = try peer.exchange(verify)
    guard verified.status == .done else { throw Violation("a fresh code: \(String(describing: verified.status))") }
}
