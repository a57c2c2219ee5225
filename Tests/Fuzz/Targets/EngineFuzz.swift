import LibCrypto
import Wire

@testable import Engine

/// The rules under a sequence of requests, leases, reports and steps of time; `EngineModel` checks each reply against the promises.
/// Input: four bytes a step: what, and three choices. `EngineScript` says how they are read.
enum EngineFuzz: FuzzTarget {
    static let name = "engine"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 1_024 else { return }
        var script = EngineScript()
        var input = FuzzInput(bytes)
        while !input.isEmpty { try script.step(input.u8(), input.u8(), input.u8(), input.u8()) }
    }
}

/// Turns choices into requests and hands each with its reply to the model.
struct EngineScript {
    private static let start: UInt64 = 1_780_000_000_000
    /// From inside a gap to past a day.
    private static let steps: [UInt64] = [
        1, 1_000, 10_000, 29_999, 30_000, 30_001, 59_999, 60_000, 120_000, 240_000, 300_000, 660_000, 900_000, 3_600_000,
        86_400_000, 2_000,
    ]
    private static let accounts = ["alice", "bob", "carol", "dave"].map { AccountBytes($0) }
    private static let phones = ["+33612345678", "+14155550123", "+4915112345678", "+0000"].map { PhoneBytes($0) }

    /// Tenant 1 has room for long histories, tenant 2 limits that are soon full.
    private final class Rules: @unchecked Sendable {
        let engine: Engine

        init() {
            var wide = TenantPolicy(number: 1, name: "wide", shop: "Wide")
            (wide.unverifiedPerHour, wide.unverifiedPerDay, wide.totalPerHour) = (50, 50, 50)
            (wide.phonesPerAccountDay, wide.openPerPhone, wide.verifiesPerPhoneMinute) = (5, 5, 50)
            wide.purposes[0].sendsPerChallenge = 5
            wide.purposes[1].alphabet = .lettersAndDigits
            wide.purposes[1].priority = .high
            var tight = TenantPolicy(number: 2, name: "tight", shop: "Tight")
            (tight.unverifiedPerHour, tight.totalPerHour, tight.phonesPerAccountDay) = (3, 4, 1)
            (tight.openPerPhone, tight.accountsPerPhoneDay, tight.verifiesPerPhoneMinute) = (1, 2, 3)
            tight.purposes[0].attempts = 3
            let master = SecretBytes(count: 32) { $0.copyBytes(from: UInt8(0)..<32) }
            engine = Engine(tenants: [wide, tight], keys: EngineKeys(master: master))
        }
    }
    /// Fuzzing has one thread, and the replay is `.serialized`.
    private static let rules = Rules()

    private let engine = EngineScript.rules.engine
    private var state = FuzzState()
    private var now = EngineScript.start
    private var sequence: UInt64 = 0
    private var model = EngineModel()
    private var sent: [(request: Request, caller: Caller, reply: Reply)] = []

    mutating func step(_ what: UInt8, _ a: UInt8, _ b: UInt8, _ c: UInt8) throws(FuzzFailure) {
        let caller = Caller(tenant: b & 0x80 == 0 ? 1 : 2, uid: 1_000)
        switch what % 16 {
        case 0...2: try decide(.requestCode(requestCode(a, b, c)), caller)
        case 3...6: try decide(.verify(verify(a, b, c)), caller)
        case 7:
            var m = Resend()
            (m.requestID, m.challenge, m.session) = (newID(c), challenge(a), session(b))
            try decide(.resend(m), caller)
        case 8:
            var m = Cancel()
            (m.requestID, m.challenge, m.session) = (newID(c), challenge(a), session(b))
            try decide(.cancel(m), caller)
        case 9: try lookUp(a, b, c, caller)
        case 10: try redeem(a, b, c, caller)
        case 11: try report(a, b, c, caller)
        case 12: try lease(a, b)
        case 13: try again(a)
        case 14: now += EngineScript.steps[Int(a % 16)]
        default:
            now += EngineScript.steps[Int(a % 16)]
            if b & 0xF0 == 0xE0 {
                var m = Unblock()
                (m.requestID, m.account, m.phone) = (newID(c), EngineScript.accounts[Int(a & 3)], EngineScript.phones[Int(b & 3)])
                (m.actor, m.reason) = (InlineBytes("fuzz"), InlineBytes([c]))
                try decide(.unblock(m), caller)
            }
            // A restored backup: all that was open is void.
            if b == 0xFF {
                state.epoch += 1
                model.voidAll()
            }
        }
    }

    // MARK: requests

    private func requestCode(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> RequestCode {
        var m = RequestCode()
        m.requestID = newID(c)
        m.purpose = a & 0x40 == 0 ? 1 : 2
        m.assurance = b & 3
        m.account = EngineScript.accounts[Int(a & 3)]
        m.phone = EngineScript.phones[Int(a >> 2 & 3)]
        m.session = session(a >> 4)
        return m
    }

    private mutating func verify(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> Verify {
        var m = Verify()
        (m.requestID, m.challenge, m.session) = (newID(c), challenge(a), session(b))
        let right = rightCode(m.challenge)
        var code = right.array
        // Right, wrong in one place, in small letters, cut, or of an impossible letter.
        switch b >> 3 & 7 {
        case 0...2: break
        case 3...5: code[Int(c) % code.count] = code[Int(c) % code.count] == 0x32 ? 0x33 : 0x32
        case 6: code = code.map { $0 >= 0x41 ? $0 + 32 : $0 }
        default: code[0] = c
        }
        m.code = CodeBytes(code)
        return m
    }

    private mutating func lookUp(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ caller: Caller) throws(FuzzFailure) {
        switch c % 3 {
        case 0:
            var m = StatusRequest()
            (m.challenge, m.session) = (challenge(a), session(b))
            try decide(.status(m), caller)
        case 1:
            let like = requestCode(a, b, c)
            var m = Quota()
            (m.purpose, m.assurance, m.account, m.phone) = (like.purpose, like.assurance, like.account, like.phone)
            m.session = like.session
            try decide(.quota(m), caller)
        default:
            var m = CheckGrant()
            (m.grant, m.account) = (model.grant(Int(a >> 2)), EngineScript.accounts[Int(a & 3)])
            (m.purpose, m.session) = (b & 0x40 == 0 ? 1 : 2, session(b))
            try decide(.checkGrant(m), caller)
        }
    }

    private mutating func redeem(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ caller: Caller) throws(FuzzFailure) {
        var m = RedeemGrant()
        (m.requestID, m.grant, m.account) = (newID(c), model.grant(Int(a >> 2)), EngineScript.accounts[Int(a & 3)])
        (m.purpose, m.session) = (b & 0x40 == 0 ? 1 : 2, session(b))
        try decide(.redeemGrant(m), caller)
    }

    private mutating func report(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ caller: Caller) throws(FuzzFailure) {
        var m = ReportMessage()
        (m.challenge, m.send, m.outcome) = (challenge(a), 1 + (b & 3), c % 9)
        m.token = b & 0x40 == 0 ? model.token(m.challenge, m.send) : Bytes16(high: UInt64(b), low: 1)
        if b & 0x20 != 0 {
            m.gateway = InlineBytes("g")
            m.reference = InlineBytes([c & 3])
            m.hasOther = c & 4
        }
        try decide(.report(m), caller)
        guard b & 0x10 != 0 else { return }
        var receipt = ReportReceipt()
        (receipt.gateway, receipt.reference, receipt.outcome) = (
            InlineBytes("g"), InlineBytes([c & 3]), a % 9
        )
        try decide(.receipt(receipt), caller)
    }

    private mutating func again(_ a: UInt8) throws(FuzzFailure) {
        guard !sent.isEmpty else { return }
        let former = sent[Int(a) % sent.count]
        let due = model.sends
        let reply = try decide(former.request, former.caller)
        try model.retried(former.request, former.reply, reply, sentMore: model.sends > due)
    }

    // MARK: ids

    /// New ones but for three values of the choice: an old one, one too old, one from the future.
    private func newID(_ choice: UInt8) -> Bytes16 {
        switch choice {
        case 0xFD where !sent.isEmpty: return sent[sent.count - 1].request.id
        case 0xFE: return Bytes16(timeMs: now - 660_001, tailHigh: 1, tailLow: sequence)
        case 0xFF: return Bytes16(timeMs: now + 660_001, tailHigh: 1, tailLow: sequence)
        default: return Bytes16(timeMs: now, tailHigh: UInt16(choice), tailLow: sequence &* 0x9E37_79B9_7F4A_7C15)
        }
    }

    private func session(_ choice: UInt8) -> Bytes32 {
        choice & 3 == 3 ? .zero : Bytes32(head: Bytes16(high: UInt64(choice & 3) + 1, low: 5), tail: Bytes16(high: 6, low: 7))
    }

    private func challenge(_ choice: UInt8) -> Bytes16 { model.challenge(Int(choice)) }

    private mutating func rightCode(_ id: Bytes16) -> CodeBytes {
        state.now = now
        guard let challenge = engine.readChallenge(id, &state), challenge.state != .alias else { return CodeBytes("222222") }
        return CodeGenerator.code(of: challenge, id: id, key: engine.keys.code)
    }

    // MARK: one batch

    private mutating func begin() -> BatchContext {
        sequence += 1
        state.now = now
        engine.beginBatch()
        return BatchContext(now: now, wall: now + 7_000, epoch: state.epoch, voidBefore: 0, sequence: sequence)
    }

    private func entropy() -> Entropy {
        withUnsafeTemporaryAllocation(byteCount: Entropy.bytes, alignment: 8) { bytes in
            for index in 0..<8 {
                let word = (sequence * 8 + UInt64(index)) &* 0x9E37_79B9_7F4A_7C15
                bytes.storeBytes(of: word ^ word >> 29, toByteOffset: 8 * index, as: UInt64.self)
            }
            return Entropy(UnsafeRawBufferPointer(bytes))
        }
    }

    @discardableResult
    private mutating func decide(_ request: Request, _ caller: Caller) throws(FuzzFailure) -> Reply {
        var right: CodeBytes?
        if case .verify(let m) = request { right = rightCode(m.challenge) }
        let context = begin()
        let before = state.writes
        let reply = engine.decide(request, caller: caller, context: context, entropy: entropy(), state: &state)
        let facts = EngineModel.Facts(
            now: now, caller: caller, due: engine.dueMessages, events: engine.events, rightCode: right,
            wrote: state.writes > before)
        try model.note(request, reply, facts)
        if sent.count < 64 { sent.append((request, caller, reply)) }
        return reply
    }

    private mutating func lease(_ a: UInt8, _ b: UInt8) throws(FuzzFailure) {
        let key = MessageKey(challenge: challenge(a), send: 1 + (b & 3), tenant: 1, notBefore: 0)
        let context = begin()
        let result = engine.lease(key, leaseMs: 15_000, token: entropy().token, context: context, state: &state)
        guard case .leased(let draft) = result else { return }
        try model.leased(key, draft, right: rightCode(key.challenge), now: now)
    }
}

extension Request {
    /// The request id; zero where there is none.
    var id: Bytes16 {
        switch self {
        case .requestCode(let m): m.requestID
        case .resend(let m): m.requestID
        case .verify(let m): m.requestID
        case .cancel(let m): m.requestID
        case .redeemGrant(let m): m.requestID
        case .unblock(let m): m.requestID
        case .status, .quota, .checkGrant, .report, .receipt: .zero
        }
    }
}
