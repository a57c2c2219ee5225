import Testing
import Wire

@testable import Engine

/// Runs a `ClassHistory`, or what is left of it, through the rules as the server does: request rates first,
/// then `decide`.
struct ClassRun {
    let world: World
    private var rates = RequestRates()
    private var challenges: [Int: Bytes16] = [:]
    private var grants: [Int: Bytes32] = [:]
    /// What each step was answered, request by request.
    private(set) var answers: [Int: [Reply]] = [:]

    init(_ history: ClassHistory, tenant: TenantPolicy, without left: Set<Assurance> = []) throws {
        world = World(tenants: [tenant])
        for (index, step) in history.steps.enumerated() where !left.contains(step.asker) {
            world.now = step.at
            try run(step, index)
        }
    }

    private mutating func run(_ step: ClassHistory.Step, _ index: Int) throws {
        switch step.kind {
        case .request:
            let reply = decide(.requestCode(code(step, 0)), step, 0, index)
            challenges[index] = reply.challenge?.challenge
        case .flood(let count, let isInvalid):
            for number in 0..<count {
                var m = code(step, number)
                m.session = World.session(UInt64(100 + number))
                if isInvalid { m.phone = PhoneBytes(String(step.phone.dropFirst())) }
                decide(.requestCode(m), step, number, index)
            }
        case .quota:
            var m = Quota()
            (m.purpose, m.assurance) = (step.purpose, step.asker.rawValue)
            (m.account, m.phone, m.session) = (
                AccountBytes(step.account), PhoneBytes(step.phone), World.session(step.session)
            )
            decide(.quota(m), step, 0, index)
        case .unblock:
            var m = Unblock()
            (m.requestID, m.account, m.phone) = (
                id(step, 0), AccountBytes(step.account), PhoneBytes(step.phone)
            )
            (m.actor, m.reason) = (InlineBytes("marie"), InlineBytes("why"))
            decide(.unblock(m), step, 0, index)
        case .check, .redeem: onGrant(step, index)
        case .resend, .right, .wrong, .cancel, .status: try onChallenge(step, index)
        }
    }

    private mutating func onChallenge(_ step: ClassHistory.Step, _ index: Int) throws {
        guard let target = challenges[step.target] else { return }
        let session = World.session(step.session)
        switch step.kind {
        case .resend:
            var m = Resend()
            (m.requestID, m.challenge, m.session) = (id(step, 0), target, session)
            decide(.resend(m), step, 0, index)
        case .cancel:
            var m = Cancel()
            (m.requestID, m.challenge, m.session) = (id(step, 0), target, session)
            decide(.cancel(m), step, 0, index)
        case .status:
            var m = StatusRequest()
            (m.challenge, m.session) = (target, session)
            decide(.status(m), step, 0, index)
        case .right, .wrong:
            // Once the record is gone any code does.
            let isThere = world.now < target.timeMs + 600_000
            let guesses: [CodeBytes]
            if case .wrong(let count) = step.kind {
                guesses = try (0..<count).map {
                    isThere ? try world.wrongCode(of: target, $0) : CodeBytes("234567")
                }
            } else {
                guesses = [isThere ? try world.code(of: target) : CodeBytes("234567")]
            }
            for (number, guess) in guesses.enumerated() {
                var m = Verify()
                (m.requestID, m.challenge, m.session, m.code) = (id(step, number), target, session, guess)
                let reply = decide(.verify(m), step, number, index)
                if let grant = reply.verified?.grant { (grants[index], grants[step.target]) = (grant, grant) }
            }
        case .request, .flood, .quota, .check, .redeem, .unblock: return
        }
    }

    private mutating func onGrant(_ step: ClassHistory.Step, _ index: Int) {
        guard let grant = grants[step.target] else { return }
        if case .check = step.kind {
            var m = CheckGrant()
            (m.grant, m.purpose) = (grant, step.purpose)
            (m.account, m.session) = (AccountBytes(step.account), World.session(step.session))
            decide(.checkGrant(m), step, 0, index)
        } else {
            var m = RedeemGrant()
            (m.requestID, m.grant, m.purpose) = (id(step, 0), grant, step.purpose)
            (m.account, m.session) = (AccountBytes(step.account), World.session(step.session))
            decide(.redeemGrant(m), step, 0, index)
        }
    }

    private func generator(_ step: ClassHistory.Step, _ number: Int) -> SeededGenerator {
        SeededGenerator(seed: step.seed &+ UInt64(number) &* 0x1_0000_0001)
    }

    /// The request's own: the same with and without the others.
    private func id(_ step: ClassHistory.Step, _ number: Int) -> Bytes16 {
        var draw = generator(step, number)
        return Bytes16(
            timeMs: step.at, tailHigh: UInt16(truncatingIfNeeded: draw.next()), tailLow: draw.next())
    }

    private func code(_ step: ClassHistory.Step, _ number: Int) -> RequestCode {
        var m = RequestCode()
        m.requestID = id(step, number)
        (m.purpose, m.assurance) = (step.purpose, step.asker.rawValue)
        (m.account, m.phone, m.session) = (
            AccountBytes(step.account), PhoneBytes(step.phone), World.session(step.session)
        )
        return m
    }

    /// As `Batch` does it. The entropy is drawn from the request.
    @discardableResult
    private mutating func decide(_ request: Request, _ step: ClassHistory.Step, _ number: Int, _ index: Int)
        -> Reply
    {
        world.generator = generator(step, number &+ 7_000)
        world.caller.isCounted = false
        let reply: Reply
        if let keys = world.engine.rateKeys(request, world.caller) {
            switch rates.admit(keys, now: world.now) {
            case .refused(let refusal): reply = .refused(refusal)
            case let verdict:
                world.caller.isCounted = verdict == .counted
                reply = world.send(request)
                if let refusal = reply.refusal {
                    rates.refused(keys, refusal, isCounted: world.caller.isCounted, now: world.now)
                }
            }
        } else {
            reply = world.send(request)
        }
        answers[index, default: []].append(reply)
        return reply
    }
}
