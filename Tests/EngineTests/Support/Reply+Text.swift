import Testing
import Wire

@testable import Engine

/// Replies as a table says them: `created`, `verified`, `wrongCode left 4`, `limited resendGap 30000`.
extension Reply {
    var text: String {
        switch self {
        case .challenge(let m): ChallengeReply.Disposition(rawValue: m.disposition).map { "\($0)" } ?? "?"
        case .verified: "verified"
        case .status(let m): StatusRequest.State(rawValue: m.state).map { "\($0)" } ?? "?"
        case .quota(let m): "quota \(m.sendsLeftHour) \(m.sendsLeftDay) \(m.openLeft)"
        case .grant: "grant"
        case .empty: "done"
        case .refused(let m): m.text
        }
    }

    var challenge: ChallengeReply? { if case .challenge(let m) = self { m } else { nil } }
    var verified: Verify.Reply? { if case .verified(let m) = self { m } else { nil } }
    var statusReply: StatusRequest.Reply? { if case .status(let m) = self { m } else { nil } }
    var grantReply: GrantReply? { if case .grant(let m) = self { m } else { nil } }
    var refusal: Refusal? { if case .refused(let m) = self { m } else { nil } }

    /// As it would leave: what a caller can tell apart.
    func bytes() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try buffer.withUnsafeMutableBytes { raw in
            switch self {
            case .challenge(let m): try FieldEncoder.reply(m, to: 1, correlation: 0, into: raw)
            case .verified(let m): try FieldEncoder.reply(m, to: 1, correlation: 0, into: raw)
            case .status(let m): try FieldEncoder.reply(m, to: 1, correlation: 0, into: raw)
            case .quota(let m): try FieldEncoder.reply(m, to: 1, correlation: 0, into: raw)
            case .grant(let m): try FieldEncoder.reply(m, to: 1, correlation: 0, into: raw)
            case .empty: try FieldEncoder.reply(Empty(), to: 1, correlation: 0, into: raw)
            case .refused(let m): try FieldEncoder.refusal(m, to: 1, correlation: 0, into: raw)
            }
        }
        return Array(buffer.prefix(count))
    }
}

extension Refusal {
    var text: String {
        var words = [status.map { "\($0)" } ?? "?"]
        if let limit, limit != .none { words.append(limit.name) }
        if attemptsLeft != Refusal.noAttempts { words.append("left \(attemptsLeft)") }
        if retryAfterMs > 0 { words.append("\(retryAfterMs)") }
        return words.joined(separator: " ")
    }
}

extension Engine.LeaseResult {
    var text: String {
        switch self {
        case .leased(let draft): "leased \(draft.push.attempt)"
        case .later(let time): "later \(time)"
        case .gone: "gone"
        }
    }

    var draft: Engine.MessageDraft? { if case .leased(let draft) = self { draft } else { nil } }
}
