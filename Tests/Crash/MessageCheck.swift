import Wire

/// Messages: none is lost, none goes out more often than crashes and ended leases explain, none after it was settled.
struct MessageCheck {
    private let history: History
    private var groups: [String: [History.Pushed]] = [:]
    /// The line of the first report that settled it.
    private var settled: [String: Int] = [:]
    /// A message that should have come by now, if there is one.
    private(set) var owed: String?

    init(_ history: History, _ challenges: [Bytes16: ExpectedChallenge], _ stream: EventStream) throws {
        self.history = history
        for push in history.pushes {
            groups["\(push.message.challenge)-\(push.message.send)", default: []].append(push)
        }
        for act in history.acts where act.opcode == .reportMessage && act.isDone {
            let report = try act.decode(ReportMessage.self)
            guard let outcome = ReportMessage.Outcome(rawValue: report.outcome),
                ![.transientFailure, .notSubmitted, .ambiguous].contains(outcome), let acted = act.acted
            else { continue }
            let key = "\(report.challenge)-\(report.send)"
            settled[key] = min(settled[key] ?? .max, acted)
        }
        for challenge in challenges.values where challenge.state == .open {
            let key = "\(challenge.id)-\(challenge.resends + 1)"
            if groups[key] == nil, settled[key] == nil, stream.count(.deliveryFailed, challenge.id) == 0 {
                owed = key
            }
        }
    }

    func run() throws {
        for (key, group) in groups { try check(key, group, settled[key]) }
        if let owed { throw Violation("message \(owed) was never pushed and never failed: it is lost") }
    }

    private func check(_ key: String, _ group: [History.Pushed], _ settled: Int?) throws {
        var former: History.Pushed?
        var perLife: [Int: Int] = [:]
        for push in group.sorted(by: { $0.message.attempt < $1.message.attempt }) {
            if let former {
                guard former.message.attempt < push.message.attempt,
                    former.message.token != push.message.token
                else {
                    throw Violation("message \(key): lease \(push.message.attempt) was given twice")
                }
                guard former.line < push.line || former.life == push.life else {
                    throw Violation(
                        "message \(key): lease \(push.message.attempt) came before \(former.message.attempt)")
                }
                guard code(of: former.message) == code(of: push.message),
                    former.message.idempotencyKey == push.message.idempotencyKey
                else {
                    throw Violation(
                        "message \(key): another code or idempotency key at lease \(push.message.attempt)")
                }
            }
            former = push
            perLife[push.life, default: 0] += 1
            if let settled, let start = history.starts.last(where: { $0 < push.line }), start > settled {
                throw Violation(
                    "message \(key) was pushed again after its report was acknowledged and the server restarted"
                )
            }
        }
        guard group.count <= 3 else { throw Violation("message \(key) was pushed \(group.count) times") }
        for (life, count) in perLife where count > 1 + history.leaps[life, default: 0] {
            guard count > 1 + history.leaps[life, default: 0] + failures(key) else { continue }
            throw Violation("message \(key) was pushed \(count) times in one life of the server")
        }
    }

    /// Reports of a failure that lets it be leased again.
    private func failures(_ key: String) -> Int {
        history.acts.count { act in
            guard act.opcode == .reportMessage,
                let report = try? act.decode(ReportMessage.self),
                [.transientFailure, .notSubmitted, .ambiguous].contains(
                    ReportMessage.Outcome(rawValue: report.outcome))
            else { return false }
            return "\(report.challenge)-\(report.send)" == key
        }
    }
}
