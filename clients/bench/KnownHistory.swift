import Glibc
import Wire

/// What a server has acknowledged, made so that it stays true for a few minutes: used codes, a spent grant, wrong guesses, full limits,
/// a block. `check` asks a server that claims to hold it.
struct KnownHistory {
    /// A code that was accepted, and its spent grant.
    private struct Used {
        var request: RequestCode
        var challenge: Bytes16
        var code: CodeBytes
        var grant: Bytes32
    }

    /// What `check` found.
    enum Finding: Equatable {
        /// All is there.
        case right
        /// Something is missing, in a way that refuses more than it should.
        case closed(String)
        /// What must never be.
        case wrong(String)
    }

    private var used: [Used] = []
    private var open: (request: RequestCode, challenge: Bytes16, code: CodeBytes)?
    /// Two attempts are left.
    private var guessed: (request: RequestCode, challenge: Bytes16)?
    /// The journal's newest sequence when all of this was acknowledged; 0 = it isn't made yet.
    private var sequence: UInt64 = 0
    /// Requests that a limit of a day refuses, with the limit.
    private var full: [(RequestCode, Limit)] = []

    /// Makes the history through `peer`; `courier` has the courier's role. `blocks`: how many shoppers have failed their payments.
    init(
        _ peer: BenchPeer, _ courier: BenchPeer, _ shoppers: inout Shoppers, _ generator: inout SeededGenerator, blocks: Int = 4
    ) throws {
        _ = try courier.exchange(lease())
        for _ in 0..<12 {
            let request = shoppers.request(peer, &generator)
            used.append(try KnownHistory.use(request, peer, courier, &generator))
        }
        // One account, three phones: a fourth is refused for a day. One phone, five accounts: a sixth is.
        for _ in 0..<4 {
            var request = shoppers.request(peer, &generator)
            let account = request.account
            for _ in 0..<3 {
                used.append(try KnownHistory.use(request, peer, courier, &generator))
                request = shoppers.request(peer, &generator)
                request.account = account
            }
            full.append((request, .accountPhonesDay))
            request = shoppers.request(peer, &generator)
            let phone = request.phone
            for _ in 0..<5 {
                used.append(try KnownHistory.use(request, peer, courier, &generator))
                request = shoppers.request(peer, &generator)
                request.phone = phone
            }
            full.append((request, .phoneAccountsDay))
        }
        // Five failures in a row on a payment: a block of 15 minutes.
        for _ in 0..<blocks {
            var request = shoppers.request(peer, &generator)
            request.purpose = 2
            let (challenge, code) = try KnownHistory.ask(request, peer, courier)
            for _ in 0..<5 { _ = try KnownHistory.verify(challenge, request, wrong(code), peer, &generator) }
            full.append((request, .paymentStreak))
        }
        let request = shoppers.request(peer, &generator)
        let (challenge, code) = try KnownHistory.ask(request, peer, courier)
        open = (request, challenge, code)
        let other = shoppers.request(peer, &generator)
        let (second, right) = try KnownHistory.ask(other, peer, courier)
        for _ in 0..<3 { _ = try KnownHistory.verify(second, other, wrong(right), peer, &generator) }
        guessed = (other, second)
        if case .right = try check(peer, &generator, endsOpen: false) {
            sequence = try KnownHistory.sequence(peer)
            return
        }
        throw BenchError("the history isn't as it was made: \(try check(peer, &generator, endsOpen: false))")
    }

    /// `endsOpen`: the open challenge's right code is tried too, which uses it up.
    func check(_ peer: BenchPeer, _ generator: inout SeededGenerator, endsOpen: Bool = true) throws -> Finding {
        var missing: String?
        // A start adds a record of its own.
        let found = try KnownHistory.sequence(peer)
        guard sequence == 0 || found > sequence else { return .wrong("acknowledged requests are gone: \(found - 1) of \(sequence) batches are left") }
        for known in used {
            if try KnownHistory.verify(known.challenge, known.request, known.code, peer, &generator).status == .done {
                return .wrong("a used code was accepted")
            }
            var redeem = RedeemGrant()
            redeem.requestID = peer.requestID(&generator)
            redeem.grant = known.grant
            redeem.purpose = known.request.purpose
            redeem.account = known.request.account
            redeem.session = known.request.session
            if try peer.exchange(redeem).status == .done { return .wrong("a spent grant was redeemed") }
        }
        for (request, limit) in full {
            let reply = try peer.exchange(KnownHistory.quota(request))
            if reply.status == .done { return .wrong("a full limit was forgotten: \(limit)") }
            let refusal = try reply.body.withUnsafeBytes { try FieldDecoder.decode(Refusal.self, from: $0) }
            if refusal.limit != limit { missing = "another refusal than \(limit): \(refusal.statusCode)" }
        }
        if let guessed {
            var status = StatusRequest()
            status.challenge = guessed.challenge
            status.session = guessed.request.session
            let reply = try peer.exchange(status)
            if reply.status == .done {
                let left = try reply.decode(StatusRequest.Reply.self).attemptsLeft
                if left > 2 { return .wrong("guesses came back: \(left) left of 2") }
            } else {
                missing = "a challenge is gone"
            }
        }
        guard endsOpen, let open else { return missing.map(Finding.closed) ?? .right }
        if try KnownHistory.verify(open.challenge, open.request, wrong(open.code), peer, &generator).status == .done {
            return .wrong("a wrong code was accepted")
        }
        if try KnownHistory.verify(open.challenge, open.request, open.code, peer, &generator).status != .done {
            missing = "an open challenge is gone"
        }
        return missing.map(Finding.closed) ?? .right
    }

    private static func sequence(_ peer: BenchPeer) throws -> UInt64 {
        let lines = try peer.exchange(Stats()).decode(Stats.Reply.self).lines.text.split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("journal_sequence ") }), let number = UInt64(line.dropFirst(17)) else {
            throw BenchError("Stats says no journal_sequence")
        }
        return number
    }

    private func wrong(_ code: CodeBytes) -> CodeBytes { CodeBytes(code.array.map { ($0 - 0x30 + 1) % 10 + 0x30 }) }

    private static func ask(
        _ request: RequestCode, _ peer: BenchPeer, _ courier: BenchPeer
    ) throws -> (Bytes16, CodeBytes) {
        let reply = try peer.exchange(request)
        guard reply.status == .done else { throw BenchError("request: \(String(describing: reply.status))") }
        let challenge = try reply.decode(ChallengeReply.self).challenge
        while true {
            for frame in try courier.receive() where frame.opcode == Opcode.message.rawValue {
                let message = try frame.decode(MessagePush.self)
                try courier.send(lease())
                if message.challenge == challenge { return (challenge, code(of: message)) }
            }
        }
    }

    private static func use(
        _ request: RequestCode, _ peer: BenchPeer, _ courier: BenchPeer, _ generator: inout SeededGenerator
    ) throws -> Used {
        let (challenge, code) = try ask(request, peer, courier)
        let grant = try verify(challenge, request, code, peer, &generator).decode(Verify.Reply.self).grant
        var redeem = RedeemGrant()
        redeem.requestID = peer.requestID(&generator)
        redeem.grant = grant
        redeem.purpose = request.purpose
        redeem.account = request.account
        redeem.session = request.session
        guard try peer.exchange(redeem).status == .done else { throw BenchError("a fresh grant can't be redeemed") }
        return Used(request: request, challenge: challenge, code: code, grant: grant)
    }

    private static func verify(
        _ challenge: Bytes16, _ request: RequestCode, _ code: CodeBytes, _ peer: BenchPeer,
        _ generator: inout SeededGenerator
    ) throws -> BenchPeer.Received {
        var message = Verify()
        message.requestID = peer.requestID(&generator)
        message.challenge = challenge
        message.session = request.session
        message.code = code
        return try peer.exchange(message)
    }

    /// From another session, so that no open challenge answers for it.
    private static func quota(_ request: RequestCode) -> Quota {
        var quota = Quota()
        quota.purpose = request.purpose
        quota.assurance = request.assurance
        quota.account = request.account
        quota.phone = request.phone
        quota.session = Bytes32(head: request.session.tail, tail: request.session.head)
        return quota
    }
}
