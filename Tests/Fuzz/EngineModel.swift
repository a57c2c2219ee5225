import Wire

@testable import Engine

/// What the promises P1, P3, P4 and P5 allow, kept from requests and replies alone: it never looks at a record.
struct EngineModel {
    /// What is known besides the reply.
    struct Facts {
        var now: UInt64
        var caller: Caller
        var due: [MessageKey]
        var events: [EventPush]
        /// Of a Verify's challenge, derived again.
        var rightCode: CodeBytes?
        var wrote: Bool
    }

    private struct Challenge {
        var id: Bytes16
        var tenant: UInt32
        var request: RequestCode
        var expiresAt: UInt64
        var attempts: UInt8
        var guesses: UInt8 = 0
        var sends: UInt8 = 0
        var hasEnded = false
        var accepted: (request: Bytes16, grant: Bytes32, at: UInt64)?
        var leases: [UInt8] = [0, 0, 0, 0, 0, 0]
        var tokens: [Bytes16] = .init(repeating: .zero, count: 6)
    }

    /// The sends of one class on one phone.
    private struct Line {
        var tenant: UInt32
        var phone: PhoneBytes
        var assurance: UInt8
        var times: [UInt64] = []
        /// Those before it were followed by a verify.
        var unverifiedFrom = 0
    }

    private struct Grant {
        var token: Bytes32
        var challenge: Bytes16
        var expiresAt: UInt64
        var redeemedBy: Bytes16?
    }

    private var challenges: [Challenge] = []
    private var lines: [Line] = []
    private var grants: [Grant] = []
    /// Messages of all challenges.
    private(set) var sends = 0

    // MARK: what a script can name

    func challenge(_ choice: Int) -> Bytes16 {
        challenges.isEmpty || choice == 0xFF
            ? Bytes16(high: 1, low: 2) : challenges[challenges.count - 1 - (choice >> 2) % challenges.count].id
    }

    func grant(_ choice: Int) -> Bytes32 {
        grants.isEmpty ? Bytes32(head: Bytes16(high: 1, low: 2), tail: .zero) : grants[choice % grants.count].token
    }

    func token(_ id: Bytes16, _ send: UInt8) -> Bytes16 { index(id).map { challenges[$0].tokens[Int(send)] } ?? .zero }

    private func index(_ id: Bytes16) -> Int? { challenges.lastIndex { $0.id == id } }

    mutating func voidAll() {
        for index in challenges.indices { challenges[index].hasEnded = true }
        for index in grants.indices { grants[index].expiresAt = 0 }
    }

    // MARK: checks

    mutating func note(_ request: Request, _ reply: Reply, _ facts: Facts) throws(FuzzFailure) {
        switch (request, reply) {
        case (.requestCode(let m), .challenge(let answer)): try opened(m, answer, facts)
        case (.verify(let m), _): try verified(m, reply, facts)
        case (.cancel(let m), .empty): if let place = index(m.challenge) { challenges[place].hasEnded = true }
        case (.redeemGrant(let m), .grant): try redeemed(m, facts)
        case (.checkGrant(let m), .grant): try expect(isLive(m.grant, facts.now), "a grant that is over checks as good")
        default: break
        }
        switch request {
        case .status, .quota, .checkGrant: try expect(!facts.wrote && facts.events.isEmpty, "a lookup writes")
        case .requestCode, .resend, .verify, .cancel, .redeemGrant, .report, .receipt, .unblock: break
        }
        for event in facts.events where event.kind == EventPush.Kind.challengeSuperseded.rawValue {
            if let place = index(event.challenge) { challenges[place].hasEnded = true }
        }
        for message in facts.due { try queued(message, facts.now) }
    }

    private mutating func opened(_ m: RequestCode, _ answer: ChallengeReply, _ facts: Facts) throws(FuzzFailure) {
        guard answer.disposition == ChallengeReply.Disposition.created.rawValue, index(answer.challenge) == nil else {
            return try expect(index(answer.challenge) != nil, "a challenge is joined that was never created")
        }
        try expect(m.phone.count >= 8 && m.phone[1] != 0x30, "a challenge for what isn't a phone number")
        challenges.append(
            Challenge(
                id: answer.challenge, tenant: facts.caller.tenant, request: m, expiresAt: answer.expiresAtMs,
                attempts: answer.attemptsLeft))
        try expect(answer.attemptsLeft <= 5, "more than five attempts")
        try expect(answer.expiresAtMs <= facts.now + 600_000, "a code that lives longer than ten minutes")
    }

    /// P4: a message is queued once for each send, within the challenge's cap, the phone's gap and its budgets.
    private mutating func queued(_ message: MessageKey, _ now: UInt64) throws(FuzzFailure) {
        guard let place = index(message.challenge) else { throw FuzzFailure(description: "a message of no challenge") }
        if message.send <= challenges[place].sends { return }
        try expect(message.send == challenges[place].sends + 1, "a send is skipped")
        challenges[place].sends += 1
        sends += 1
        let challenge = challenges[place]
        let isWide = challenge.tenant == 1
        let cap: UInt8 = isWide && challenge.request.purpose == 1 ? 5 : 3
        try expect(challenge.sends <= cap, "\(challenge.sends) messages of one challenge")
        try expect(!challenge.hasEnded && now < challenge.expiresAt, "a message of a challenge that is over")
        var line = lines.firstIndex {
            $0.tenant == challenge.tenant && $0.phone == challenge.request.phone
                && $0.assurance == challenge.request.assurance
        }
        if line == nil {
            lines.append(
                Line(tenant: challenge.tenant, phone: challenge.request.phone, assurance: challenge.request.assurance))
            line = lines.count - 1
        }
        guard let line else { return }
        let since = lines[line].times[lines[line].unverifiedFrom...]
        if let last = since.last {
            // What was sent a day before the last one is forgotten with it.
            let unverified = since.filter { $0 + 86_400_000 > last }.count
            let gap: UInt64 = [30_000, 60_000, 120_000][min(unverified, 3) - 1]
            try expect(now - last >= gap, "a message \(now - last) ms after the \(unverified)th unverified one")
        }
        lines[line].times.append(now)
        let inHour = lines[line].times.filter { $0 + 3_600_000 > now }.count
        try expect(inHour <= (isWide ? 50 : 4), "\(inHour) messages to a phone in an hour")
        let fresh = lines[line].times[lines[line].unverifiedFrom...].filter { $0 + 3_600_000 > now }.count
        try expect(fresh <= (isWide ? 50 : 3), "\(fresh) unverified messages to a phone in an hour")
    }

    private mutating func verified(_ m: Verify, _ reply: Reply, _ facts: Facts) throws(FuzzFailure) {
        guard let place = index(m.challenge) else {
            guard case .refused = reply else { throw FuzzFailure(description: "a code of no challenge is accepted") }
            return
        }
        let challenge = challenges[place]
        let isMine = challenge.tenant == facts.caller.tenant && challenge.request.session == m.session
        let isOpen = isMine && challenge.accepted == nil && !challenge.hasEnded && facts.now < challenge.expiresAt
            && challenge.guesses < challenge.attempts
        let isRight = facts.rightCode.map { $0.count == m.code.count && isSame($0, m.code) } ?? false
        switch reply {
        case .verified(let answer):
            try accepted(place, m, answer, isOpen && isRight, facts)
        case .refused(let refusal) where refusal.status == .wrongCode:
            // A retry is told what its first was; a first one counts.
            guard facts.wrote else { return }
            try expect(isOpen && !isRight, "a code is called wrong that is \(isRight ? "right" : "not evaluated")")
            challenges[place].guesses += 1
            let left = challenge.attempts - challenges[place].guesses
            try expect(refusal.attemptsLeft == left, "\(refusal.attemptsLeft) attempts are said to be left, \(left) are")
        case .refused(let refusal):
            if isOpen, isRight { try expect(mayRefuse(refusal.status), "a right code is refused: \(refusal.statusCode)") }
        case .challenge, .status, .quota, .grant, .empty: throw FuzzFailure(description: "Verify has another reply")
        }
    }

    /// Small letters are read as capitals where there are letters.
    private func isSame(_ a: CodeBytes, _ b: CodeBytes) -> Bool {
        a.array == b.array.map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 }
    }

    private func mayRefuse(_ status: Status?) -> Bool {
        switch status {
        case .blocked, .limited, .startAnew, .factorDisabled, .requestTooOld, .requestFromFuture, .requestIdConflict: true
        default: false
        }
    }

    /// P1: one acceptance; a retry of the same request gets the same grant, for thirty seconds.
    private mutating func accepted(
        _ place: Int, _ m: Verify, _ answer: Verify.Reply, _ isRightNow: Bool, _ facts: Facts
    ) throws(FuzzFailure) {
        if let former = challenges[place].accepted {
            try expect(former.request == m.requestID, "a code is accepted twice")
            try expect(former.grant == answer.grant, "a retry gets another grant")
            return try expect(facts.now < former.at + 30_000, "a grant is handed out again after thirty seconds")
        }
        try expect(isRightNow, "a code is accepted that is wrong, late, another's or beyond the attempts")
        challenges[place].accepted = (m.requestID, answer.grant, facts.now)
        grants.append(Grant(token: answer.grant, challenge: m.challenge, expiresAt: answer.expiresAtMs))
        try expect(answer.expiresAtMs <= facts.now + 300_000, "a grant that lives longer than five minutes")
        let request = challenges[place].request
        let tenant = challenges[place].tenant
        for line in lines.indices
        where lines[line].tenant == tenant && lines[line].phone == request.phone && lines[line].assurance == request.assurance {
            lines[line].unverifiedFrom = lines[line].times.count
        }
    }

    private func isLive(_ token: Bytes32, _ now: UInt64) -> Bool {
        grants.contains { $0.token == token && $0.expiresAt > now && $0.redeemedBy == nil }
    }

    private mutating func redeemed(_ m: RedeemGrant, _ facts: Facts) throws(FuzzFailure) {
        guard let place = grants.firstIndex(where: { $0.token == m.grant }), let challenge = index(grants[place].challenge)
        else { throw FuzzFailure(description: "a grant that was never given is redeemed") }
        let request = challenges[challenge].request
        try expect(
            request.account == m.account && request.session == m.session && request.purpose == m.purpose
                && challenges[challenge].tenant == facts.caller.tenant,
            "a grant is redeemed for something else")
        if let former = grants[place].redeemedBy {
            return try expect(former == m.requestID, "a grant is redeemed twice")
        }
        try expect(grants[place].expiresAt > facts.now, "a grant is redeemed after its end")
        grants[place].redeemedBy = m.requestID
    }

    /// P5: the same request again acts no second time and is told nothing that contradicts the first reply.
    func retried(_ request: Request, _ first: Reply, _ second: Reply, sentMore: Bool) throws(FuzzFailure) {
        switch (first, second) {
        case (.challenge(let a), .challenge(let b)):
            try expect(!sentMore, "a retry sends a message")
            try expect(a.challenge == b.challenge, "a retry is told of another challenge")
        case (.challenge, _): try expect(!sentMore, "a retry sends a message")
        case (.refused(let a), .refused(let b)) where a.status == .wrongCode:
            try expect(b.status != .wrongCode || a.attemptsLeft == b.attemptsLeft, "a retry is told of other attempts")
        case (.refused(let a), .verified): try expect(a.status != .wrongCode, "a wrong code is accepted at its retry")
        case (.verified, .refused(let b)): try expect(b.status != .wrongCode, "an accepted code is wrong at its retry")
        default: break
        }
    }

    mutating func leased(
        _ key: MessageKey, _ draft: Engine.MessageDraft, right: CodeBytes, now: UInt64
    ) throws(FuzzFailure) {
        guard let place = index(key.challenge) else { throw FuzzFailure(description: "a message of no challenge is leased") }
        let challenge = challenges[place]
        try expect(key.send == challenge.sends, "a superseded message is leased")
        try expect(challenge.accepted == nil && !challenge.hasEnded, "a message of a challenge that is over is leased")
        try expect(now < challenge.expiresAt, "a message of an expired challenge is leased")
        try expect(draft.code == right && draft.push.phone == challenge.request.phone, "a message says another code or phone")
        challenges[place].leases[Int(key.send)] += 1
        challenges[place].tokens[Int(key.send)] = draft.push.token
        try expect(challenges[place].leases[Int(key.send)] <= 3, "a message is submitted more than three times")
    }
}
