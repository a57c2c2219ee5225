import Wire

/// What the outside knows of a challenge at a moment: no later answer may be above it.
struct ChallengeFloor {
    /// A terminal `StatusRequest.State` that was answered.
    var ended: UInt8 = 0
    var attemptsLeft: UInt8 = 255
    var sendsLeft: UInt8 = 255
    /// A rank: queued, submitted or failed, delivered.
    var delivery: UInt8 = 0
}

/// A challenge as the outside knows it.
final class ChallengeHistory {
    let id: Bytes16
    let who: Who
    let origin: Call
    var expiresAt: UInt64 = 0
    var attemptCap: UInt8 = 0
    /// As a handset received it.
    var code: String?
    var floor = ChallengeFloor()
    /// A reply said that it is open: from then on it must be found.
    var isAcknowledged = false
    /// Requests sent that end it if they arrive: Cancels, right codes, another phone in its session and class.
    var possibleEnds = 0
    /// RequestCodes sent of its own key: near its end they open another.
    var renewals = 0
    /// Different guesses sent.
    var guesses = 0
    var accepted: Call?
    var grant: Verify.Reply?
    /// The wrong guesses answered, by the attempts left that the answer told.
    var wrong: [UInt8: Call] = [:]
    var redeemed: Call?
    /// The highest number of a message that a courier was given.
    var lastSend: Int?
    /// Different requests that were answered with one more message.
    var resends = 0
    /// Different RedeemGrants sent for its grant.
    var redeemers = 0
    /// A clock that went back may have made it void.
    var mayBeVoid = false
    var mustBeVoid = false

    init(id: Bytes16, origin: Call) {
        self.id = id
        self.origin = origin
        who = origin.who
    }
}

/// Everything that left the server or was sent to it, and what is wrong with it. The checkers hold its parts; they know the promises,
/// not the engine.
final class History {
    var violations: [String] = []
    /// RequestCodes by the time in their ids, which is a different one for each.
    private var origins: [UInt64: Call] = [:]
    private(set) var challenges: [Bytes16: ChallengeHistory] = [:]
    /// In the order of their first sight.
    private(set) var order: [ChallengeHistory] = []
    let policies: [UInt32: SimPolicy]

    init(policies: [UInt32: SimPolicy]) { self.policies = policies }

    func violation(_ text: String) {
        if violations.count < 20 { violations.append(text) }
    }

    private var grants: [Bytes32: ChallengeHistory] = [:]

    /// The challenge whose grant this is.
    func challenge(of grant: Bytes32) -> ChallengeHistory? { grants[grant] }
    func note(grant: Bytes32, of challenge: ChallengeHistory) { grants[grant] = challenge }

    /// Writes in the order of sending, each with the time between which it was decided; `.max` while there is no answer.
    private(set) var writes: [(call: Call, from: UInt64, to: UInt64)] = []

    func note(write call: Call, now: UInt64) -> Int? {
        guard call.ask.isWrite else { return nil }
        writes.append((call, now, .max))
        return writes.count - 1
    }

    func note(answerTo write: Int, now: UInt64) { writes[write].to = now }

    /// Unblocks by their reasons, of which each has another.
    private(set) var unblocks: [String: Call] = [:]
    func note(unblock call: Call, reason: String) { unblocks[reason] = call }

    /// Refusals that need a reason or an event, with the time between which they were decided.
    struct Refused {
        let call: Call
        let refusal: Refusal
        let from: UInt64
        let to: UInt64
    }
    private(set) var refusals: [Refused] = []
    func note(refusal: Refusal, of attempt: Attempt, now: UInt64) {
        refusals.append(Refused(call: attempt.call, refusal: refusal, from: attempt.sent, to: now))
    }

    /// RequestCodes in the order of sending, repeats included.
    private var requests: [(at: UInt64, call: Call)] = []

    func note(origin call: Call, now: UInt64) {
        if origins[call.requestID.timeMs] == nil { origins[call.requestID.timeMs] = call }
        requests.append((now, call))
    }

    /// Those that may have been decided after `time`: sent since, or not answered by then.
    func requests(since time: UInt64) -> [Call] {
        requests.filter { $0.at >= time || $0.call.answers < $0.call.sends || $0.call.answeredAt >= time }
            .map(\.call)
    }

    /// The challenge of this id, made out of a RequestCode that was sent: its id begins with the request id's time.
    func challenge(_ id: Bytes16, seenIn what: String) -> ChallengeHistory? {
        if let known = challenges[id] { return known }
        guard let origin = origins[id.timeMs] else {
            violation("\(what): challenge \(id) comes from no RequestCode that was sent")
            return nil
        }
        for other in order where other.origin === origin {
            violation("\(what): RequestCode \(origin.requestID) made two challenges, \(other.id) and \(id)")
        }
        let new = ChallengeHistory(id: id, origin: origin)
        challenges[id] = new
        order.append(new)
        return new
    }
}

/// The policy of a tenant as its operator wrote it, in the checkers' own words.
struct SimPolicy {
    var enforces = true
    var purposes: [UInt16: SimPurpose] = [:]
    /// Who may be named as having asked.
    var uids: Set<UInt64> = []
    /// Wrong codes in a row of each class on an account and phone, after which the class is off there.
    let shares = [50, 25, 25]
}

struct SimPurpose {
    var lifeMs: UInt64 = 300_000
    var attempts = 5
    var sends = 3
    var gapMs: [UInt64] = [30_000, 60_000, 120_000]
    var grantMs: UInt64 = 120_000
    var blockAfter = 20
    var codeLength = 6
    /// Under PSD2: wrong codes count on the account, and nobody asks without a first factor.
    var isPayment = false

    /// After this moment of a challenge no message of it is of use: its end is less than a minute, or a third of its life, away.
    func lastMoment(_ expiresAt: UInt64) -> UInt64 { expiresAt - min(60_000, lifeMs / 3) }
}
