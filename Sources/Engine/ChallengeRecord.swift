import Wire

/// A challenge, with all that a Verify needs: a reload or a key rotation never touches an open one.
struct ChallengeRecord {
    static let schema: UInt8 = 1

    /// What the record is now; `StatusRequest.State` with aliases.
    enum State: UInt8 {
        case open = 1
        case verified = 2
        case cancelled = 3
        case superseded = 4
        case exhausted = 5
        /// A RequestCode that acted as a Resend of another challenge: `target` names it.
        case alias = 7
    }

    var state = State.open
    var tenant: UInt32 = 0
    var purpose: UInt16 = 0
    var asker: UInt8 = 0
    var codeKeyID: UInt8 = 1
    var alphabet: UInt8 = 1
    var codeLength: UInt8 = 6
    var attemptCap: UInt8 = 5
    var attemptsUsed: UInt8 = 0
    var generation: UInt8 = 1
    var sends: UInt8 = 1
    var sendCap: UInt8 = 3
    var delivery: UInt8 = StatusRequest.Delivery.queued.rawValue
    var createdAt: UInt64 = 0
    var expiresAt: UInt64 = 0
    var resendAt: UInt64 = 0
    /// 256 random bits: no code is a function of known values alone.
    var nonce = Bytes32.zero
    var session = Bytes32.zero
    /// Zero until payments are bound to an amount and a payee.
    var binding = Bytes32.zero
    /// Keyed digest of the RequestCode that made the record.
    var requestDigest = Bytes16.zero
    /// The grant's id once verified; the target of an alias.
    var target = Bytes16.zero
    var verifiedAt: UInt64 = 0
    var account = AccountBytes()
    var phone = PhoneBytes()
    var webHost = InlineBytes<60>()
    var androidHash = InlineBytes<11>()
    var locale = InlineBytes<35>()
    var verdicts = VerdictList()
    /// The store's epoch when the record was written; not part of its bytes.
    var epoch: UInt32 = 0

    var attemptsLeft: UInt8 { attemptCap - min(attemptCap, attemptsUsed) }
    var sendsLeft: UInt8 { sendCap - min(sendCap, sends) }
    /// No message is submitted later: it could only arrive when the code is nearly over.
    var lastSubmit: UInt64 { expiresAt - min(60_000, (expiresAt - createdAt) / 3) }
    /// Of an alias: how its RequestCode was answered; kept where a challenge has its delivery.
    var aliasDisposition: ChallengeReply.Disposition {
        get { ChallengeReply.Disposition(rawValue: delivery) ?? .resent }
        set { delivery = newValue.rawValue }
    }

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: borrowing RecordBuffer) {
        record.schema(ChallengeRecord.schema)
        epoch = record.epoch
        guard let state = State(rawValue: record.u8()) else { return nil }
        self.state = state
        tenant = record.u32()
        purpose = record.u16()
        asker = record.u8()
        codeKeyID = record.u8()
        alphabet = record.u8()
        codeLength = record.u8()
        attemptCap = record.u8()
        attemptsUsed = record.u8()
        generation = record.u8()
        sends = record.u8()
        sendCap = record.u8()
        delivery = record.u8()
        createdAt = record.ms()
        expiresAt = record.ms()
        resendAt = record.ms()
        nonce = record.bytes32()
        session = record.bytes32()
        binding = record.bytes32()
        requestDigest = record.bytes16()
        target = record.bytes16()
        verifiedAt = record.ms()
        account = record.blob()
        phone = record.blob()
        webHost = record.blob()
        androidHash = record.blob()
        locale = record.blob()
        verdicts = VerdictList(from: record)
        if !record.isWhole || asker > 2 { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(ChallengeRecord.schema)
        record.put(state.rawValue)
        record.put(tenant)
        record.put(purpose)
        record.put(asker)
        record.put(codeKeyID)
        record.put(alphabet)
        record.put(codeLength)
        record.put(attemptCap)
        record.put(attemptsUsed)
        record.put(generation)
        record.put(sends)
        record.put(sendCap)
        record.put(delivery)
        record.put(ms: createdAt)
        record.put(ms: expiresAt)
        record.put(ms: resendAt)
        record.put(nonce)
        record.put(session)
        record.put(binding)
        record.put(requestDigest)
        record.put(target)
        record.put(ms: verifiedAt)
        record.put(account)
        record.put(phone)
        record.put(webHost)
        record.put(androidHash)
        record.put(locale)
        verdicts.encode(into: record)
    }
}
