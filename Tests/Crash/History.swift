import Wire

/// What the log proves: every write that was sent, with its answers, and every push that came. Built from the log alone.
struct History {
    /// One write, by its bytes: a retry is the same act.
    struct Act {
        var opcode: Opcode
        var body: [UInt8]
        /// Line of the first send.
        var firstSent: Int
        var lastSent: Int
        /// Line of the first answer that says that it acted.
        var acted: Int?
        /// The newest send was answered; else nobody knows whether it acted.
        var isAnswered = false
        var replies: [LoggedFrame] = []

        func decode<M: Message>(_ type: M.Type) throws -> M {
            try body.withUnsafeBytes { try FieldDecoder.decode(M.self, from: $0) }
        }

        /// The first answer with this status.
        func reply(_ status: Status) -> LoggedFrame? { replies.first { $0.status == status } }
        var isDone: Bool { reply(.done) != nil }
    }

    /// A message that was pushed to a courier.
    struct Pushed {
        var line: Int
        /// Which start of the server.
        var life: Int
        var message: MessagePush
    }

    private(set) var acts: [Act] = []
    private(set) var pushes: [Pushed] = []
    /// Events that were pushed live.
    private(set) var events: [EventPush] = []
    /// Starts of the server.
    private(set) var life = 0
    /// Turns of the clock that end leases, by life.
    private(set) var leaps: [Int: Int] = [:]
    private(set) var leapMs: [Int: Int64] = [:]
    /// Line of each start.
    private(set) var starts: [Int] = []
    /// Replies in all.
    private(set) var replyCount = 0
    private(set) var replies: [Status: Int] = [:]

    init(_ entries: [LogEntry]) throws {
        var byBody: [[UInt8]: Int] = [:]
        var waiting: [UInt64: Int] = [:]
        func key(_ connection: Int, _ correlation: UInt32) -> UInt64 { UInt64(connection) << 32 | UInt64(correlation) }
        for (line, entry) in entries.enumerated() {
            switch entry {
            case .started:
                life += 1
                starts.append(line)
            case .turned(let step):
                leapMs[life, default: 0] += step
                leaps[life] = 1 + Int(leapMs[life, default: 0] / 15_000)
            case .sent(let connection, let frame):
                guard let opcode = Opcode(rawValue: frame.opcode), History.isWrite(opcode) else { continue }
                let identity = [UInt8(truncatingIfNeeded: frame.opcode)] + frame.body
                let index = byBody[identity] ?? acts.count
                if index == acts.count {
                    byBody[identity] = index
                    acts.append(Act(opcode: opcode, body: frame.body, firstSent: line, lastSent: line))
                }
                acts[index].lastSent = line
                acts[index].isAnswered = false
                waiting[key(connection, frame.correlation)] = index
            case .received(let connection, let frame):
                try take(frame, line, waiting[key(connection, frame.correlation)])
            }
        }
    }

    private mutating func take(_ frame: LoggedFrame, _ line: Int, _ index: Int?) throws {
        if frame.flags == .push {
            switch Opcode(rawValue: frame.opcode) {
            case .message:
                pushes.append(Pushed(line: line, life: life, message: try frame.decode(MessagePush.self)))
            case .event: events.append(try frame.decode(EventPush.self))
            default: break
            }
            return
        }
        guard let index else { return }
        replyCount += 1
        acts[index].replies.append(frame)
        acts[index].isAnswered = true
        guard let status = frame.status else { throw Violation("a status that the protocol doesn't have") }
        replies[status, default: 0] += 1
        if status == .done || status == .wrongCode, acts[index].acted == nil { acts[index].acted = line }
    }

    static func isWrite(_ opcode: Opcode) -> Bool {
        switch opcode {
        case .requestCode, .resend, .verify, .cancel, .redeemGrant, .reportMessage, .reportReceipt: true
        default: false
        }
    }
}

/// What one challenge must look like, by the acts of the history.
struct ExpectedChallenge {
    var id: Bytes16
    var request: RequestCode
    var created: Int
    var expiresAtMs: UInt64 = 0
    var resends = 0
    var wrong = 0
    var isVerified = false
    var isCancelled = false
    /// Distinct grants that were handed out.
    var grants: Set<Bytes32> = []
    var grantEndMs: UInt64 = 0
    var rightVerify: History.Act?
    /// The act that spent the grant.
    var redeem: History.Act?
    var redeemedBy = 0

    /// Before expiry is looked at.
    var state: StatusRequest.State {
        if isVerified { return .verified }
        if isCancelled { return .cancelled }
        return wrong == 5 ? .exhausted : .open
    }
}

extension History {
    /// All challenges that replies speak of. Broken promises that replies alone show are found here.
    func challenges() throws -> [Bytes16: ExpectedChallenge] {
        var found: [Bytes16: ExpectedChallenge] = [:]
        for (index, act) in acts.enumerated() where act.opcode == .requestCode {
            let done = try act.replies.filter { $0.status == .done }.map { try $0.decode(ChallengeReply.self) }
            guard let first = done.first else { continue }
            guard done.allSatisfy({ $0.challenge == first.challenge && $0.disposition == first.disposition }) else {
                throw Violation("one RequestCode was answered in two ways: \(done.map(\.challenge))")
            }
            if first.disposition == ChallengeReply.Disposition.created.rawValue {
                guard found[first.challenge] == nil else { throw Violation("two requests made one challenge \(first.challenge)") }
                found[first.challenge] = ExpectedChallenge(
                    id: first.challenge, request: try act.decode(RequestCode.self), created: index,
                    expiresAtMs: first.expiresAtMs)
            }
        }
        for act in acts {
            switch act.opcode {
            case .requestCode:
                guard let reply = try act.reply(.done)?.decode(ChallengeReply.self),
                    reply.disposition == ChallengeReply.Disposition.resent.rawValue
                else { continue }
                found[reply.challenge]?.resends += 1
            case .resend where act.isDone: found[try act.decode(Resend.self).challenge]?.resends += 1
            case .cancel where act.isDone: found[try act.decode(Cancel.self).challenge]?.isCancelled = true
            case .verify: try note(verify: act, &found)
            default: break
            }
        }
        var byGrant: [Bytes32: Bytes16] = [:]
        for challenge in found.values { for grant in challenge.grants { byGrant[grant] = challenge.id } }
        for act in acts where act.opcode == .redeemGrant && act.isDone {
            guard let id = byGrant[try act.decode(RedeemGrant.self).grant] else { throw Violation("a grant that nobody was given was redeemed") }
            found[id]?.redeem = act
            found[id]?.redeemedBy += 1
        }
        for challenge in found.values {
            if challenge.grants.count > 1 { throw Violation("challenge \(challenge.id) was accepted twice (P1)") }
            if challenge.redeemedBy > 1 { throw Violation("the grant of \(challenge.id) was redeemed twice") }
            if challenge.wrong > 5 { throw Violation("\(challenge.wrong) guesses on \(challenge.id) (P3)") }
        }
        return found
    }

    private func note(verify act: Act, _ found: inout [Bytes16: ExpectedChallenge]) throws {
        let id = try act.decode(Verify.self).challenge
        let (isRight, isWrong) = (act.isDone || act.reply(.alreadyVerified) != nil, act.reply(.wrongCode) != nil)
        if isRight, isWrong { throw Violation("one Verify was right and wrong: \(id)") }
        if isWrong { found[id]?.wrong += 1 }
        guard isRight else { return }
        if found[id]?.isVerified == true { throw Violation("two Verifies were accepted on \(id) (P1)") }
        found[id]?.isVerified = true
        found[id]?.rightVerify = act
        for reply in act.replies where reply.status == .done {
            let verified = try reply.decode(Verify.Reply.self)
            found[id]?.grants.insert(verified.grant)
            found[id]?.grantEndMs = verified.expiresAtMs
        }
    }
}
