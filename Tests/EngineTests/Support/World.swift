import LibCrypto
import Testing
import Wire

@testable import Engine

/// One engine with fixed keys over a `MemoryState`; time is a variable, entropy comes from a seeded generator.
final class World {
    static let start: UInt64 = 1_780_000_000_000
    static let phone = "+33612345678"

    private(set) var engine: Engine
    var state = MemoryState()
    var now = World.start
    var epoch: UInt32 = 1
    var voidBefore: UInt64 = 0
    var caller = Caller(tenant: 1, uid: 1000)
    /// What the last request wrote, in order.
    private(set) var changes: [MemoryState.Change] = []
    /// The same without its events.
    var writes: [MemoryState.Change] { changes.filter { $0.table != .event } }
    /// The events of the last request.
    private(set) var events: [EventPush] = []
    private(set) var sequence: UInt64 = 0
    var generator: SeededGenerator

    init(seed: UInt64 = 1, tenants: [TenantPolicy] = [World.tenant()]) {
        generator = SeededGenerator(seed: seed)
        engine = Engine(tenants: tenants, keys: World.keys)
    }

    /// As after a start with another configuration.
    func restart(tenants: [TenantPolicy]) { engine = Engine(tenants: tenants, keys: World.keys) }

    static var keys: EngineKeys { EngineKeys(master: SecretBytes(count: 32) { $0.copyBytes(from: UInt8(0)..<32) }) }

    static func tenant(_ number: UInt32 = 1, _ change: (inout TenantPolicy) -> Void = { _ in }) -> TenantPolicy {
        var tenant = TenantPolicy(number: number, name: "t\(number)", shop: "Shop \(number)")
        change(&tenant)
        return tenant
    }

    /// A tenant whose budgets are out of the way: for tests of something else.
    static func generous(_ number: UInt32 = 1, _ change: (inout TenantPolicy) -> Void = { _ in }) -> TenantPolicy {
        tenant(number) { tenant in
            tenant.unverifiedPerHour = 50
            tenant.unverifiedPerDay = 50
            tenant.totalPerHour = 50
            tenant.phonesPerAccountDay = 5
            tenant.openPerPhone = 5
            tenant.verifiesPerPhoneMinute = 50
            change(&tenant)
        }
    }

    /// The built-in login with fixed short forms for what a test changes.
    static func purpose(_ number: UInt16 = 1, _ change: (inout PurposePolicy) -> Void) -> PurposePolicy {
        var purpose = PurposePolicy(number: number, name: "p\(number)")
        change(&purpose)
        return purpose
    }

    var context: BatchContext {
        BatchContext(now: now, wall: now + 7_000, epoch: epoch, voidBefore: voidBefore, sequence: sequence)
    }

    func entropy() -> Entropy {
        let words = (0..<8).map { _ in generator.next() }
        return words.withUnsafeBytes { Entropy($0) }
    }

    /// A fresh request id with `time` in front; now, unless told.
    func newID(_ time: UInt64? = nil) -> Bytes16 {
        Bytes16(
            timeMs: time ?? now, tailHigh: UInt16(truncatingIfNeeded: generator.next()), tailLow: generator.next())
    }

    /// Decides one request as a batch of its own.
    @discardableResult
    func send(_ request: Request) -> Reply {
        inBatch { engine.decide(request, caller: caller, context: context, entropy: entropy(), state: &state) }
    }

    /// Leases one message as a batch of its own.
    func lease(_ id: Bytes16, send: UInt8 = 1, leaseMs: UInt64 = 15_000) -> Engine.LeaseResult {
        inBatch {
            engine.lease(
                MessageKey(challenge: id, send: send, tenant: 1, notBefore: 0), leaseMs: leaseMs, token: entropy().token,
                context: context, state: &state)
        }
    }

    private func inBatch<R>(_ body: () -> R) -> R {
        sequence += 1
        (state.now, state.epoch) = (now, epoch)
        state.changes.removeAll()
        engine.beginBatch()
        defer { (changes, events) = (state.changes, engine.events) }
        return body()
    }

    static func session(_ number: UInt64) -> Bytes32 {
        number == 0 ? .zero : Bytes32(head: Bytes16(high: number, low: 5), tail: Bytes16(high: 6, low: 7))
    }
}

// MARK: the requests, with the defaults of a login

extension World {
    func requestCode(
        _ account: String = "alice", _ phone: String = World.phone, session: UInt64 = 1, purpose: UInt16 = 1,
        as assurance: Assurance = .firstFactor, id: Bytes16? = nil
    ) -> Reply {
        var m = RequestCode()
        m.requestID = id ?? newID()
        m.purpose = purpose
        m.assurance = assurance.rawValue
        m.account = AccountBytes(account)
        m.phone = PhoneBytes(phone)
        m.session = World.session(session)
        return send(.requestCode(m))
    }

    /// The challenge of a RequestCode that must pass.
    func open(
        _ account: String = "alice", _ phone: String = World.phone, session: UInt64 = 1, purpose: UInt16 = 1,
        as assurance: Assurance = .firstFactor, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Bytes16 {
        let reply = requestCode(account, phone, session: session, purpose: purpose, as: assurance)
        return try #require(reply.challenge, "\(reply.text)", sourceLocation: sourceLocation).challenge
    }

    func resend(_ challenge: Bytes16, session: UInt64 = 1, id: Bytes16? = nil) -> Reply {
        var m = Resend()
        m.requestID = id ?? newID()
        m.challenge = challenge
        m.session = World.session(session)
        return send(.resend(m))
    }

    func verify(_ challenge: Bytes16, _ code: CodeBytes, session: UInt64 = 1, id: Bytes16? = nil) -> Reply {
        var m = Verify()
        m.requestID = id ?? newID()
        m.challenge = challenge
        m.session = World.session(session)
        m.code = code
        return send(.verify(m))
    }

    func unblock(
        _ account: String = "alice", _ phone: String = World.phone, actor: String = "maria", reason: String = "called back",
        id: Bytes16? = nil
    ) -> Reply {
        var m = Unblock()
        m.requestID = id ?? newID()
        m.account = AccountBytes(account)
        m.phone = PhoneBytes(phone)
        m.actor = InlineBytes(actor)
        m.reason = InlineBytes(reason)
        return send(.unblock(m))
    }

    func cancel(_ challenge: Bytes16, session: UInt64 = 1, id: Bytes16? = nil) -> Reply {
        var m = Cancel()
        m.requestID = id ?? newID()
        m.challenge = challenge
        m.session = World.session(session)
        return send(.cancel(m))
    }

    func status(_ challenge: Bytes16, session: UInt64 = 1, send number: UInt8? = nil) -> Reply {
        var m = StatusRequest()
        m.send = number
        m.challenge = challenge
        m.session = World.session(session)
        return send(.status(m))
    }

    func quota(
        _ account: String = "alice", _ phone: String = World.phone, session: UInt64 = 1, purpose: UInt16 = 1,
        as assurance: Assurance = .firstFactor
    ) -> Reply {
        var m = Quota()
        m.purpose = purpose
        m.assurance = assurance.rawValue
        m.account = AccountBytes(account)
        m.phone = PhoneBytes(phone)
        m.session = World.session(session)
        return send(.quota(m))
    }

    func checkGrant(
        _ grant: Bytes32, _ account: String = "alice", session: UInt64 = 1, purpose: UInt16 = 1
    ) -> Reply {
        var m = CheckGrant()
        m.grant = grant
        m.purpose = purpose
        m.account = AccountBytes(account)
        m.session = World.session(session)
        return send(.checkGrant(m))
    }

    func redeem(
        _ grant: Bytes32, _ account: String = "alice", session: UInt64 = 1, purpose: UInt16 = 1, id: Bytes16? = nil
    ) -> Reply {
        var m = RedeemGrant()
        m.requestID = id ?? newID()
        m.grant = grant
        m.purpose = purpose
        m.account = AccountBytes(account)
        m.session = World.session(session)
        return send(.redeemGrant(m))
    }

    func report(
        _ challenge: Bytes16, send number: UInt8 = 1, _ token: Bytes16, _ outcome: ReportMessage.Outcome
    ) -> Reply {
        var m = ReportMessage()
        m.challenge = challenge
        m.send = number
        m.token = token
        m.outcome = outcome.rawValue
        return send(.report(m))
    }
}
