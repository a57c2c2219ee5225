import Wire

extension EventPush {
    /// Field by field.
    func isSame(_ other: EventPush) -> Bool {
        cursor == other.cursor && kind == other.kind && engineTimeMs == other.engineTimeMs && tenant == other.tenant
            && challenge == other.challenge && subject == other.subject && status == other.status && limit == other.limit
            && attemptsLeft == other.attemptsLeft
    }
}

/// The whole stream of events, as a subscriber reads it from the oldest on.
struct EventStream {
    private let events: [EventPush]
    private var places: [Cursor: Int] = [:]
    /// Places of a challenge's events, in order.
    private var byChallenge: [Bytes16: [Int]] = [:]

    /// Cursors rise, and inside a commit no index is missing.
    init(_ events: [EventPush]) throws {
        self.events = events
        var former: EventPush?
        for (place, event) in events.enumerated() {
            let next = former.map { $0.cursor.sequence == event.cursor.sequence ? $0.cursor.index + 1 : 0 } ?? 0
            guard former.map({ $0.cursor < event.cursor }) ?? true, event.cursor.index == next else {
                throw Violation("the events have a gap or go back at \(event.cursor)")
            }
            if let former, former.engineTimeMs > event.engineTimeMs { throw Violation("engine time goes back at \(event.cursor)") }
            former = event
            places[event.cursor] = place
            if event.challenge != .zero { byChallenge[event.challenge, default: []].append(place) }
        }
    }

    func holds(_ event: EventPush) -> Bool { places[event.cursor].map { events[$0].isSame(event) } ?? false }

    func count(_ kind: EventPush.Kind, _ challenge: Bytes16) -> Int {
        byChallenge[challenge, default: []].count { events[$0].kind == kind.rawValue }
    }

    private func place(_ kind: EventPush.Kind, _ challenge: Bytes16, attemptsLeft: UInt8? = nil) -> Int? {
        byChallenge[challenge]?.first {
            events[$0].kind == kind.rawValue && (attemptsLeft == nil || events[$0].attemptsLeft == attemptsLeft)
        }
    }

    /// The events tell exactly what the replies told.
    func check(_ challenges: [Bytes16: ExpectedChallenge], _ history: History) throws {
        for (id, challenge) in challenges {
            try expect(.codeRequested, id, 1)
            try expect(.codeResent, id, challenge.resends)
            try expect(.wrongCode, id, challenge.wrong)
            try expect(.attemptsExhausted, id, challenge.wrong == 5 ? 1 : 0)
            try expect(.codeVerified, id, challenge.isVerified ? 1 : 0)
            try expect(.challengeCancelled, id, challenge.isCancelled ? 1 : 0)
            try expect(.grantRedeemed, id, challenge.redeem == nil ? 0 : 1)
            for left in stride(from: 4, to: 4 - challenge.wrong, by: -1) {
                guard place(.wrongCode, id, attemptsLeft: UInt8(left)) != nil else {
                    throw Violation("\(id): no event for the wrong code that left \(left) attempts")
                }
            }
        }
        for id in byChallenge.keys where challenges[id] == nil {
            throw Violation("events of challenge \(id), which nobody was told of after a retry")
        }
        try checkOrder(history)
    }

    private func expect(_ kind: EventPush.Kind, _ id: Bytes16, _ wanted: Int) throws {
        let found = count(kind, id)
        guard found == wanted else { throw Violation("\(id): \(found) events \(kind.name), acknowledged were \(wanted)") }
    }

    /// What was acknowledged before another request was sent comes before it in the stream.
    private func checkOrder(_ history: History) throws {
        var moments: [(line: Int, isEnd: Bool, place: Int)] = []
        for act in history.acts {
            guard let acted = act.acted, let place = try place(of: act) else { continue }
            moments.append((act.firstSent, false, place))
            moments.append((acted, true, place))
        }
        var newest = -1
        for moment in moments.sorted(by: { $0.line < $1.line }) {
            if moment.isEnd { newest = max(newest, moment.place) } else if moment.place < newest {
                throw Violation("event \(events[moment.place].cursor) stands before one that was acknowledged before its request")
            }
        }
    }

    private func place(of act: History.Act) throws -> Int? {
        switch act.opcode {
        case .requestCode:
            guard let reply = try act.reply(.done)?.decode(ChallengeReply.self),
                reply.disposition == ChallengeReply.Disposition.created.rawValue
            else { return nil }
            return place(.codeRequested, reply.challenge)
        case .verify:
            let id = try act.decode(Verify.self).challenge
            if let wrong = act.reply(.wrongCode) {
                return place(.wrongCode, id, attemptsLeft: try wrong.decode(Refusal.self).attemptsLeft)
            }
            return place(.codeVerified, id)
        case .cancel: return place(.challengeCancelled, try act.decode(Cancel.self).challenge)
        default: return nil
        }
    }
}
