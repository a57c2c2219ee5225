import Wire

/// Answers against events, and what each event says of who asked.
extension LedgerChecker {
    /// Everything acknowledged has its event, and no effect came without a request of its own.
    func compare() {
        for challenge in history.order where challenge.who.tenant == tenant {
            let life = lives[challenge.id]
            func miss(_ text: String) { history.violation("\(text) [challenge \(challenge.id)]") }
            if challenge.isAcknowledged, life == nil { miss("an acknowledged challenge has no event") }
            guard let life else { continue }
            if challenge.accepted != nil, life.verifiedAt == 0 {
                miss("an acknowledged right code has no event")
            }
            if challenge.redeemed != nil, !life.isRedeemed { miss("an acknowledged redemption has no event") }
            if challenge.wrong.count > life.wrong {
                miss("\(challenge.wrong.count) wrong codes were answered, \(life.wrong) counted")
            }
            if life.wrong > challenge.guesses {
                miss("\(life.wrong) guesses counted, \(challenge.guesses) were made")
            }
            if let sends = challenge.lastSend, sends > life.sends {
                miss("message \(sends) was given out, \(life.sends) were debited")
            }
            if challenge.resends > life.sends - 1 {
                miss("\(challenge.resends) resends were answered, \(life.sends - 1) debited")
            }
        }
        for (reason, call) in history.unblocks where call.who.tenant == tenant && call.settled != nil {
            if !unblocks.contains(where: { $0.call === call }) {
                history.violation("an acknowledged Unblock has no event [\(reason)]")
            }
        }
    }

    /// The statuses whose refusals of writes are events.
    static let told: Set<Status> = [
        .requestIdConflict, .blocked, .factorDisabled, .limited, .startAnew, .assuranceTooLow,
        .challengeNotOpen,
        .alreadyVerified, .grantInvalid,
    ]

    /// Who asked is in every event that a request made, and is one of the tenant's.
    func checkAsker(_ kind: EventPush.Kind, _ event: EventPush) {
        switch kind {
        case .codeRequested, .codeResent, .codeVerified, .wrongCode, .attemptsExhausted, .challengeCancelled,
            .challengeSuperseded, .accountBlocked, .factorDisabled, .grantRedeemed:
            guard let challenge = history.challenges[event.challenge] else { return }
            if event.assurance != challenge.who.asker {
                say(
                    "\(kind) of class \(event.assurance.map { "\($0)" } ?? "-") on a challenge of \(challenge.who.asker)",
                    event)
            }
        case .requestRefused, .accountUnblocked: break
        case .codeSubmitted, .codeDelivered, .deliveryFailed, .clockStepped, .serverStarted, .serverDraining,
            .requestQuarantined, .refusalsCounted, .tornTailDropped, .requestsLost:
            return
        }
        if event.uid.map(policy.uids.contains) != true {
            say("\(kind) by uid \(event.uid.map { "\($0)" } ?? "-")", event)
        }
    }

    func refused(_ event: EventPush) {
        if Status(rawValue: event.status).map(LedgerChecker.told.contains) != true {
            say("a refusal with status \(event.status) is an event", event)
        }
        if !event.shadowLimits.isEmpty { say("nothing here is in shadow mode", event) }
        note(refused: event)
    }

    /// Each refused write has its event between its sending and its answer, but where refusals are counted:
    /// with fewer than ten writes of the whole tenant under way in those minutes none can be.
    func mustBeTold(_ refused: History.Refused) {
        let refusal = refused.refusal
        guard refused.call.ask.isWrite, refusal.limit != .requestRate else { return }
        let isTold = refusedEvents.contains {
            $0.status == refusal.statusCode && $0.limit == refusal.limitCode
                && $0.engineTimeMs >= refused.from
                && $0.engineTimeMs <= refused.to
        }
        if isTold { return }
        let (from, to) = (refused.from / 60_000 * 60_000, refused.to / 60_000 * 60_000 + 60_000)
        let writes = history.writes.count { $0.call.who.tenant == tenant && $0.from < to && $0.to >= from }
        if writes <= 10 {
            history.violation(
                "a refusal without an event: \(describe(.refused(refusal))) between \(refused.from) and \(refused.to), "
                    + "\(writes) writes in that minute [request \(refused.call.requestID)]")
        }
    }
}
