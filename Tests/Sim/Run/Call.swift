import Wire

/// Who a request is about, as indices into the simulation's people; -1 = none that exists.
struct Who: Hashable {
    var tenant: UInt32
    var account = -1
    var phone = -1
    var session = -1
    var purpose: UInt16 = 0
    var asker: UInt8 = 0

    /// Of these one challenge at most is open: the phone is no part of it.
    func isOneKey(_ other: Who) -> Bool {
        tenant == other.tenant && account == other.account && session == other.session
            && purpose == other.purpose
            && asker == other.asker
    }
}

/// What is asked.
enum Ask {
    case hello(Hello)
    case ping(Ping)
    case requestCode(RequestCode)
    case resend(Resend)
    case verify(Verify)
    case cancel(Cancel)
    case status(StatusRequest)
    case quota(Quota)
    case checkGrant(CheckGrant)
    case redeem(RedeemGrant)
    case unblock(Unblock)
    case lease(LeaseMessages)
    case report(ReportMessage)
    case receipt(ReportReceipt)
    case subscribe(Subscribe)
    case acknowledge(Acknowledge)
    case stats(Stats)
    /// Any opcode, any body.
    case raw(UInt16, [UInt8])

    func encode(_ correlation: UInt32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: FrameLimits.maxFrameBytes) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            do { count = try write(correlation, raw) } catch {
                preconditionFailure("a request of our own: \(error)")
            }
        }
    }

    private func write(_ correlation: UInt32, _ raw: UnsafeMutableRawBufferPointer) throws -> Int {
        switch self {
        case .hello(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .ping(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .requestCode(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .resend(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .verify(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .cancel(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .status(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .quota(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .checkGrant(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .redeem(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .unblock(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .lease(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .report(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .receipt(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .subscribe(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .acknowledge(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .stats(let m): return try FieldEncoder.request(m, correlation: correlation, into: raw)
        case .raw(let opcode, let body):
            let length = UInt32(8 + body.count)
            raw.storeBytes(of: length.bigEndian, toByteOffset: 0, as: UInt32.self)
            raw.storeBytes(of: opcode.bigEndian, toByteOffset: 4, as: UInt16.self)
            raw.storeBytes(of: 0, toByteOffset: 6, as: UInt16.self)
            raw.storeBytes(of: correlation.bigEndian, toByteOffset: 8, as: UInt32.self)
            UnsafeMutableRawBufferPointer(rebasing: raw[12...]).copyBytes(from: body)
            return 12 + body.count
        }
    }
}

extension Ask {
    /// Its refusals are events (or counted); those of the others write nothing.
    var isWrite: Bool {
        switch self {
        case .requestCode, .resend, .verify, .cancel, .redeem, .unblock: true
        case .hello, .ping, .status, .quota, .checkGrant, .lease, .report, .receipt, .subscribe, .acknowledge,
            .stats, .raw:
            false
        }
    }

    /// Asks for a message.
    var asksForCode: Bool {
        switch self {
        case .requestCode, .resend: true
        case .hello, .ping, .verify, .cancel, .status, .quota, .checkGrant, .redeem, .unblock, .lease,
            .report,
            .receipt, .subscribe, .acknowledge, .stats, .raw:
            false
        }
    }
}

/// What came back.
enum Answer {
    case hello(Hello.Reply)
    case ping(Ping.Reply)
    case challenge(ChallengeReply)
    case verified(Verify.Reply)
    case status(StatusRequest.Reply)
    case quota(Quota.Reply)
    case grant(GrantReply)
    case lease(LeaseMessages.Reply)
    case subscribed(Subscribe.Reply)
    case empty
    case refused(Refusal)

    var status: Status? {
        if case .refused(let refusal) = self { return refusal.status }
        return .done
    }

    static func decode(_ frame: Frame, to ask: Ask) throws -> Answer {
        let status = frame.body.loadUnaligned(as: UInt16.self).bigEndian
        guard status == 0 else { return .refused(try FieldDecoder.decode(Refusal.self, from: frame.body)) }
        let body = UnsafeRawBufferPointer(rebasing: frame.body[2...])
        switch ask {
        case .hello: return .hello(try FieldDecoder.decode(Hello.Reply.self, from: body))
        case .ping: return .ping(try FieldDecoder.decode(Ping.Reply.self, from: body))
        case .requestCode, .resend:
            return .challenge(try FieldDecoder.decode(ChallengeReply.self, from: body))
        case .verify: return .verified(try FieldDecoder.decode(Verify.Reply.self, from: body))
        case .status: return .status(try FieldDecoder.decode(StatusRequest.Reply.self, from: body))
        case .quota: return .quota(try FieldDecoder.decode(Quota.Reply.self, from: body))
        case .checkGrant, .redeem: return .grant(try FieldDecoder.decode(GrantReply.self, from: body))
        case .lease: return .lease(try FieldDecoder.decode(LeaseMessages.Reply.self, from: body))
        case .subscribe: return .subscribed(try FieldDecoder.decode(Subscribe.Reply.self, from: body))
        case .cancel, .unblock, .report, .receipt, .acknowledge, .stats, .raw: return .empty
        }
    }
}

/// One request as its bytes identify it; sent once or several times.
final class Call {
    let ask: Ask
    let who: Who
    let requestID: Bytes16
    /// Engine time at which it may first have been decided; `.max` = never sent.
    var firstSent = UInt64.max
    /// What was known of its challenge when it was first sent.
    var firstFloor: ChallengeFloor?
    /// How often it was sent.
    var sends = 0
    /// How often it was answered, and when last.
    var answers = 0
    var answeredAt: UInt64 = 0
    /// Another request under the same id.
    var conflict: Call?
    /// The answer that binds: a retry may not contradict it. And when it came.
    var settled: Answer?
    var settledAt: UInt64 = 0
    /// An answer didn't say that it was told again.
    var wasFirst = false

    init(_ ask: Ask, _ who: Who, id: Bytes16 = .zero) {
        self.ask = ask
        self.who = who
        requestID = id
    }
}

/// One transmission of a call.
struct Attempt {
    let call: Call
    /// Engine time at which it was sent, and so the earliest at which it was decided.
    let sent: UInt64
    /// What was known of its challenge when it was sent.
    var floor: ChallengeFloor?
    /// Its place in `History.writes`; `nil` where it is no write.
    var write: Int?
}

/// For a violation's line.
func describe(_ answer: Answer) -> String {
    switch answer {
    case .hello: "hello"
    case .ping: "ping"
    case .challenge(let m):
        "challenge \(m.challenge) disposition \(m.disposition) attempts \(m.attemptsLeft) sends \(m.sendsLeft)"
    case .verified(let m): "verified until \(m.expiresAtMs)"
    case .status(let m):
        "status \(m.state) delivery \(m.delivery) attempts \(m.attemptsLeft) sends \(m.sendsLeft)"
    case .quota: "quota"
    case .grant(let m): "grant of \(m.challenge)"
    case .lease: "lease"
    case .subscribed: "subscribed"
    case .empty: "done"
    case .refused(let m):
        "\(m.status.map { "\($0)" } ?? "?") limit \(m.limitCode) attempts \(m.attemptsLeft) retry \(m.retryAfterMs)"
    }
}
