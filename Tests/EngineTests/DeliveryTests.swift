import Testing
import Wire

@testable import Engine

/// Messages: leased to one courier at a time, dead when replaced or over, settled by the holder alone, never moved back.
@Suite struct DeliveryTests {
    /// A lease that must be given.
    func lease(
        _ world: World, _ id: Bytes16, send: UInt8 = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) throws
        -> MessagePush
    {
        let result = world.lease(id, send: send)
        return try #require(result.draft, "\(result.text)", sourceLocation: sourceLocation).push
    }

    func delivery(_ world: World, _ id: Bytes16) -> StatusRequest.Delivery? {
        world.status(id).statusReply.flatMap { StatusRequest.Delivery(rawValue: $0.delivery) }
    }

    @Test func oneCourierAtATime() throws {
        let world = World()
        let id = try world.open()
        let first = try lease(world, id)
        #expect(first.leaseUntilMs == world.now + 15_000)
        #expect(world.lease(id).text == "later \(first.leaseUntilMs)")
        #expect(world.changes.isEmpty)
        world.now += 14_999
        #expect(world.lease(id).text == "later \(first.leaseUntilMs)")
        world.now += 1
        let second = try lease(world, id)
        #expect(second.attempt == 2)
        #expect(second.token != first.token)
        #expect(second.idempotencyKey == first.idempotencyKey)
    }

    /// Each message's way, with its times; what nobody asked for isn't told.
    @Test func aStatusTellsOfAMessage() throws {
        let world = World()
        let id = try world.open()
        func told(_ send: UInt8) -> StatusRequest.Reply? { world.status(id, send: send).statusReply }
        let queued = try #require(told(0))
        #expect(queued.send == 1 && queued.queuedAtMs == world.now && queued.leasedAtMs == nil && queued.submits == 0)
        #expect(world.status(id).statusReply?.send == nil)
        #expect(told(2)?.send == nil && told(2)?.state == queued.state, "there is no second one")
        world.now += 100
        let push = try lease(world, id)
        world.now += 200
        func report(_ outcome: ReportMessage.Outcome, _ change: (inout ReportMessage) -> Void) -> Reply {
            var m = ReportMessage()
            (m.challenge, m.send, m.token, m.outcome) = (id, 1, push.token, outcome.rawValue)
            change(&m)
            return world.send(.report(m))
        }
        let taken = report(.submitted) { m in
            (m.gateway, m.reference) = (InlineBytes("fleur"), InlineBytes("gw-1"))
            (m.segments, m.priceMicros, m.currency) = (2, 90_000, InlineBytes("EUR"))
        }
        #expect(taken.refusal == nil)
        world.now += 3_000
        #expect(report(.undelivered) { $0.reason = InlineBytes("code 483920 not taken") }.refusal == nil)
        let end = try #require(told(1))
        #expect(end.sendDelivery == StatusRequest.Delivery.failed.rawValue && end.submits == 1)
        #expect(end.queuedAtMs == world.now - 3_300 && end.leasedAtMs == world.now - 3_200)
        #expect(end.submittedAtMs == world.now - 3_000 && end.settledAtMs == world.now)
        #expect(end.gateway.text == "fleur" && end.reference.text == "gw-1" && end.segments == 2)
        #expect(end.priceMicros == 90_000 && end.currency.text == "EUR" && end.reason.text == "code ###### not taken")
    }

    @Test func theDraftHoldsTheCode() throws {
        let world = World()
        let id = try world.open()
        let draft = try #require(world.lease(id).draft)
        #expect(try draft.code == world.code(of: id))
        #expect(draft.push.phone.text == World.phone)
        #expect(draft.push.expiresAtMs == World.start + 240_000)
        #expect(draft.lifeMs == 300_000)
    }

    @Test func atMostThreeLeases() throws {
        let world = World()
        let id = try world.open()
        for attempt in 1...3 as ClosedRange<UInt8> {
            #expect(try lease(world, id).attempt == attempt)
            world.now += 15_000
        }
        #expect(world.lease(id).text == "gone")
        #expect(world.kinds == [.deliveryFailed])
        #expect(delivery(world, id) == .failed)
        #expect(world.lease(id).text == "gone")
        #expect(world.changes.isEmpty)
    }

    @Test(arguments: [(240_000, "leased 1"), (240_001, "gone")] as [(UInt64, String)])
    func noLeaseTooLateToArrive(_ age: UInt64, _ expected: String) throws {
        let world = World()
        let id = try world.open()
        world.now += age
        #expect(world.lease(id).text == expected)
    }

    /// A restart with another configuration: nobody knows the message's words any more.
    @Test(arguments: [[], [World.tenant { $0.purposes = [.payment] }], [World.tenant(2)]])
    func aMessageOfATenantOrPurposeThatIsGoneFails(_ tenants: [TenantPolicy]) throws {
        let before = World()
        let id = try before.open()
        let world = World(seed: 2, tenants: tenants)
        (world.state, world.now) = (before.state, before.now)
        #expect(world.lease(id).text == "gone")
        #expect(world.kinds == [.deliveryFailed])
        #expect(delivery(world, id) == .failed)
        #expect(world.lease(id).text == "gone")
        #expect(world.changes.isEmpty, "once and for all")
    }

    @Test(arguments: [false, true]) func aReplacedMessageIsDead(_ wasLeased: Bool) throws {
        let world = World()
        let id = try world.open()
        if wasLeased { _ = try lease(world, id) }
        world.now += 30_000
        #expect(world.resend(id).text == "resent")
        #expect(world.lease(id).text == "gone")
        #expect(try lease(world, id, send: 2).send == 2)
    }

    @Test(arguments: ["verified", "cancelled", "exhausted", "superseded"], [false, true])
    func aMessageOfAChallengeThatIsOverIsDead(_ end: String, _ wasLeased: Bool) throws {
        let world = World()
        let id = try world.open()
        if wasLeased { _ = try lease(world, id) }
        world.now += 15_000
        switch end {
        case "verified": _ = world.verify(id, try world.code(of: id))
        case "cancelled": _ = world.cancel(id)
        case "exhausted": for number in 0..<5 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        default: _ = try world.open("alice", "+33612345679")
        }
        #expect(world.status(id).text == end)
        #expect(world.lease(id).text == "gone")
    }

    /// A report of a lease from before a restore: writing its challenge anew would give it the new epoch, and open it again.
    @Test(arguments: [ReportMessage.Outcome.submitted, .delivered, .undelivered, .permanentFailure, .transientFailure])
    func aLateReportRevivesNoVoidChallenge(_ outcome: ReportMessage.Outcome) throws {
        let world = World()
        let id = try world.open()
        let push = try lease(world, id)
        let code = try world.code(of: id)
        world.epoch = 2
        _ = world.report(id, push.token, outcome)
        #expect(world.verify(id, code).text == "challengeNotOpen")
        #expect(world.resend(id).text == "challengeNotOpen")
        #expect(world.status(id).text == "challengeNotOpen")
    }

    @Test(arguments: ["epoch", "clock"]) func aVoidMessageIsDead(_ cause: String) throws {
        let world = World()
        let id = try world.open()
        world.now += 1
        if cause == "epoch" { world.epoch = 2 } else { world.voidBefore = world.now }
        #expect(world.lease(id).text == "gone")
    }

    @Test func aStaleTokenReportsNothing() throws {
        let world = World()
        let id = try world.open()
        let first = try lease(world, id)
        world.now += 15_000
        let second = try lease(world, id)
        for outcome in ReportMessage.Outcome.allCases {
            #expect(world.report(id, first.token, outcome).text == "leaseNotHeld")
            #expect(world.report(id, .zero, outcome).text == "leaseNotHeld")
            #expect(world.report(id, send: 2, second.token, outcome).text == "leaseNotHeld")
            #expect(world.changes.isEmpty)
        }
        #expect(delivery(world, id) == .queued)
        #expect(world.report(id, second.token, .submitted).text == "done")
        #expect(delivery(world, id) == .submitted)
    }

    @Test func noTokenFitsAMessageThatWasNeverLeased() throws {
        let world = World()
        let id = try world.open()
        #expect(world.report(id, .zero, .delivered).text == "leaseNotHeld")
        #expect(delivery(world, id) == .queued)
    }

    /// Every order of reports leaves the furthest; a report said twice changes nothing.
    @Test func statesMoveForwardOnly() throws {
        for (outcomes, expected): ([ReportMessage.Outcome], StatusRequest.Delivery) in [
            ([.submitted, .delivered, .submitted], .delivered), ([.delivered, .submitted], .delivered),
            ([.delivered, .undelivered], .delivered), ([.submitted, .undelivered, .submitted], .failed),
            ([.permanentFailure, .submitted], .submitted),
            ([.permanentFailure, .submitted, .delivered], .delivered),
            ([.undelivered, .submitted], .failed), ([.submitted, .undelivered, .delivered], .delivered),
            ([.submitted, .transientFailure], .submitted),
            ([.delivered, .permanentFailure], .delivered), ([.submitted, .permanentFailure], .submitted),
        ] {
            let world = World()
            let id = try world.open()
            let token = try lease(world, id).token
            for outcome in outcomes {
                #expect(world.report(id, token, outcome).text == "done")
                let rows = world.state.rows
                #expect(world.report(id, token, outcome).text == "done")
                #expect(world.state.rows == rows, "\(outcome) said twice")
            }
            #expect(delivery(world, id) == expected, "\(outcomes)")
        }
    }

    @Test func aTransientFailureIsTriedAgainLater() throws {
        let world = World()
        let id = try world.open()
        for wait: UInt64 in [1_000, 2_000] {
            let push = try lease(world, id)
            #expect(world.report(id, push.token, .transientFailure).text == "done")
            #expect(world.lease(id).text == "later \(world.now + wait)")
            world.now += wait
        }
        let last = try lease(world, id)
        #expect(world.report(id, last.token, .transientFailure).text == "done")
        #expect(world.kinds == [.deliveryFailed])
        #expect(world.lease(id).text == "gone")
    }

    /// A slow route can't use a message's leases up: what no gateway was asked costs nothing, until the code's last moment.
    @Test func anUntriedMessageKeepsItsAttempts() throws {
        let world = World()
        let id = try world.open()
        var count = 0
        while case let result = world.lease(id), let push = result.draft?.push {
            #expect(push.attempt == 1)
            #expect(world.report(id, push.token, .notSubmitted).text == "done")
            #expect(world.report(id, push.token, .notSubmitted).text == "done", "said twice")
            #expect(world.lease(id).text == "later \(world.now + 500)")
            #expect(delivery(world, id) == .queued)
            world.now += 4_500
            count += 1
        }
        #expect(count == 54, "240 s in steps of 4.5")
        #expect(world.kinds == [.deliveryFailed])
    }

    /// It may be on its way: one more, and no third, whatever comes back untried.
    @Test func inDoubtThereIsOneMore() throws {
        let world = World()
        let id = try world.open()
        let first = try lease(world, id)
        #expect(world.report(id, first.token, .ambiguous).text == "done")
        world.now += 1_000
        let second = try lease(world, id)
        #expect(second.attempt == 3)
        #expect(world.report(id, second.token, .notSubmitted).text == "done")
        world.now += 500
        let again = try lease(world, id)
        #expect(again.attempt == 3)
        #expect(world.report(id, again.token, .ambiguous).text == "done")
        #expect(world.kinds == [.deliveryFailed])
        #expect(world.status(id, send: 1).statusReply?.submits == 2, "what was taken away isn't told as a submit")
        #expect(world.lease(id).text == "gone")
        #expect(world.report(id, again.token, .submitted).text == "done", "a late success settles")
        #expect(delivery(world, id) == .submitted)
    }

    /// After three leases without a word the gateway's late one still counts.
    @Test func aLateSuccessAfterTheLastLease() throws {
        let world = World()
        let id = try world.open()
        var last = try lease(world, id)
        for _ in 2...3 {
            world.now += 15_000
            last = try lease(world, id)
        }
        world.now += 15_000
        #expect(world.lease(id).text == "gone")
        #expect(world.report(id, last.token, .submitted).text == "done")
        #expect(delivery(world, id) == .submitted)
    }

    /// A late success settles the message still; the challenge shows its newest one alone.
    @Test func aReportOnAnOlderSendDoesNotShow() throws {
        let world = World()
        let id = try world.open()
        let first = try lease(world, id)
        world.now += 30_000
        _ = world.resend(id)
        #expect(world.report(id, first.token, .delivered).text == "done")
        #expect(world.message(id)?.state == .delivered)
        #expect(delivery(world, id) == .queued)
    }
}
