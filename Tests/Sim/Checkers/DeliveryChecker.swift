import Wire

/// Messages that couriers were given: no send without debit, none twice while its lease holds or after it is settled, one code.
final class DeliveryChecker {
    private let history: History

    /// One message: a send of a challenge.
    private final class Message {
        var leases: [(attempt: UInt8, token: Bytes16, until: UInt64)] = []
        var idempotencyKey = Bytes16.zero
        /// The newest lease was reported as failed for now: it may be given again at once.
        var wasReturned = false
        /// The newest lease was reported as untried: it may count for nothing.
        var wasUntried = false
        /// A submit was in doubt, and nothing else was said under its lease: what comes is the third lease, or none.
        var isDoubtful = false
        var hasOther = false
        /// The network gave up and another gateway may have it.
        var mayFailOver = false
        var said: [Bytes16: Set<UInt8>] = [:]
        var isSettled = false
        /// Somebody said that it failed at the handset.
        var wasUndelivered = false
    }
    private struct Key: Hashable {
        let challenge: Bytes16
        let send: UInt8
    }
    private var messages: [Key: Message] = [:]
    private var references: [String: Key] = [:]
    private var tokens: Set<Bytes16> = []
    private var idempotencyKeys: [Bytes16: Key] = [:]
    let phones: [String]

    init(history: History, phones: [String]) {
        self.history = history
        self.phones = phones
    }

    private func say(_ text: String, _ push: MessagePush) {
        history.violation("\(text) [message \(push.challenge)/\(push.send), lease \(push.attempt)]")
    }

    /// Returns the challenge, with the code that the text holds.
    func pushed(_ push: MessagePush, now: UInt64) -> ChallengeHistory? {
        guard let challenge = history.challenge(push.challenge, seenIn: "Message") else { return nil }
        let text = push.text.text
        let code = String(text.prefix(while: { $0 != " " }))
        if challenge.who.tenant != push.tenant || challenge.who.purpose != push.purpose {
            say("of another tenant or purpose", push)
        }
        if push.phone.text != phones[challenge.who.phone] { say("to another phone", push) }
        let rules = history.policies[push.tenant]?.purposes[push.purpose] ?? SimPurpose()
        if code.utf8.count != rules.codeLength { say("the text doesn't begin with a code", push) }
        if let known = challenge.code, known != code { say("another code than before", push) }
        if challenge.floor.ended != 0, challenge.floor.ended != StatusRequest.State.expired.rawValue {
            say("sent after the challenge had ended (state \(challenge.floor.ended))", push)
        }
        if challenge.mustBeVoid { say("sent for a void challenge", push) }
        if push.send == 0 || Int(push.send) > rules.sends { say("beyond the sends of a challenge", push) }
        if push.engineTimeMs > now { say("pushed in the future", push) }
        if push.engineTimeMs > push.expiresAtMs { say("sent after its last submit", push) }
        lease(push, now)
        challenge.code = code
        challenge.lastSend = max(challenge.lastSend ?? 0, Int(push.send))
        return challenge
    }

    private func lease(_ push: MessagePush, _ now: UInt64) {
        let key = Key(challenge: push.challenge, send: push.send)
        let message = messages[key] ?? Message()
        messages[key] = message
        if message.isSettled, !message.mayFailOver { say("sent again after it was settled", push) }
        if let last = message.leases.last {
            if push.attempt < last.attempt || (push.attempt == last.attempt && !message.wasUntried) {
                say("lease \(last.attempt) came before", push)
            }
            if push.engineTimeMs < last.until, !message.wasReturned {
                say("leased while another lease held (until \(last.until))", push)
            }
            if message.idempotencyKey != push.idempotencyKey { say("another idempotency key", push) }
        }
        if push.attempt > 3 { say("leased more than three times", push) }
        if !tokens.insert(push.token).inserted { say("a token was used twice", push) }
        if let other = idempotencyKeys[push.idempotencyKey], other != key {
            say("shares an idempotency key", push)
        }
        idempotencyKeys[push.idempotencyKey] = key
        message.idempotencyKey = push.idempotencyKey
        message.wasReturned = false
        message.wasUntried = false
        if message.isDoubtful, push.attempt != 3 { say("not the last lease after a submit in doubt", push) }
        message.leases.append((push.attempt, push.token, push.leaseUntilMs))
    }

    func sending(_ report: ReportMessage) {
        guard let message = messages[Key(challenge: report.challenge, send: report.send)] else { return }
        if !report.reference.isEmpty {
            references[report.reference.text] = Key(challenge: report.challenge, send: report.send)
        }
        message.said[report.token, default: []].insert(report.outcome)
        if report.hasOther != nil { message.hasOther = true }
        noteFailOver(message, isFailure: report.outcome == ReportMessage.Outcome.undelivered.rawValue)
        switch ReportMessage.Outcome(rawValue: report.outcome) {
        case .transientFailure, .ambiguous: message.wasReturned = true
        case .notSubmitted:
            message.wasReturned = true
            message.wasUntried = true
        case .submitted, .delivered, .undelivered, .permanentFailure, nil: break
        }
    }

    /// By the gateway's name for the message.
    func sending(_ receipt: ReportReceipt) {
        guard receipt.outcome == ReportMessage.Outcome.undelivered.rawValue,
            let message = references[receipt.reference.text].flatMap({ messages[$0] })
        else { return }
        noteFailOver(message, isFailure: true)
    }

    /// A failure and word of another gateway, sent in either order: reports on several connections are decided in any.
    private func noteFailOver(_ message: Message, isFailure: Bool) {
        message.wasUndelivered = message.wasUndelivered || isFailure
        guard message.hasOther, message.wasUndelivered, isFailure || !message.mayFailOver else { return }
        message.wasReturned = true
        message.mayFailOver = true
    }

    func received(_ answer: Answer, to report: ReportMessage, _ attempt: Attempt, now: UInt64) {
        guard let message = messages[Key(challenge: report.challenge, send: report.send)],
            let last = message.leases.last
        else { return }
        switch answer {
        case .empty:
            // Answers and pushes of one batch leave in no order over connections: only the newest lease's word counts.
            guard report.token == last.token else { return }
            switch ReportMessage.Outcome(rawValue: report.outcome) {
            case .submitted, .delivered: message.isSettled = true
            case .permanentFailure, .undelivered: if !message.wasReturned { message.isSettled = true }
            case .ambiguous: if message.said[report.token] == [report.outcome] { message.isDoubtful = true }
            case .transientFailure, .notSubmitted, nil: break
            }
        case .refused(let refusal) where refusal.status == .leaseNotHeld:
            if report.token == last.token, now < last.until, !message.wasReturned,
                report.challenge.timeMs + 1_320_000 > now
            {
                history.violation(
                    "a report on a held lease of \(report.challenge)/\(report.send) was refused")
            }
        default: break
        }
    }
}
