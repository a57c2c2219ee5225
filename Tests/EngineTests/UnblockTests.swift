import Testing
import Wire

@testable import Engine

/// Unblock: ends blocks, turns a class on again, three times a day, once a request.
@Suite struct UnblockTests {
    @Test func itEndsABlockOfPayments() throws {
        let world = World()
        try StreakTests.fail(world, 5, purpose: 2)
        #expect(world.requestCode(session: 9, purpose: 2).refusal?.limit == .paymentStreak)
        world.now += 120_000
        world.caller.uid = 77
        #expect(world.unblock(phone(nil)).text == "done")
        #expect(world.kinds == [.accountUnblocked])
        let event = try #require(world.events.first)
        #expect(event.actor.text == "maria" && event.reason.text == "called back" && event.uid == 77)
        #expect(event.subject == world.accountRecord().subject && event.tenant == 1)
        #expect(world.requestCode(session: 9, purpose: 2).text == "created")
        // No wrong code is owed: five more make the next block, of the first length.
        #expect(world.accountRecord().payments == PaymentStreak())
        #expect(world.streak().classes[1].failures == 5, "without a phone its failures stay")
    }

    private func phone(_ phone: String?) -> (String, String) { ("alice", phone ?? "") }

    @Test func itTurnsAClassOnAgain() throws {
        let world = World()
        var streak = StreakRecord()
        for _ in 0..<50 { _ = streak.fail(0, policy: .shopLogin, now: world.now) }
        for _ in 0..<25 { _ = streak.fail(1, policy: .shopLogin, now: world.now) }
        world.set(streak)
        #expect(world.requestCode().text == "factorDisabled")
        #expect(world.unblock().text == "done")
        #expect(world.requestCode().text == "created")
        #expect(world.requestCode(as: .anonymous).text == "created")
        #expect(world.state.rows(of: .streak).isEmpty)
    }

    @Test func threeADay() throws {
        let world = World()
        let first = world.newID()
        #expect(world.unblock(id: first).text == "done")
        world.now += 10_000
        #expect(world.unblock(id: first).text == "done", "a retry is told the same")
        #expect(world.changes.isEmpty)
        #expect(world.unblock(reason: "another", id: first).text == "requestIdConflict")
        for _ in 0..<2 { #expect(world.unblock().text == "done") }
        let wait = RuleBounds.dayMs - 10_000
        #expect(world.unblock().text == "startAnew accountUnblocksDay \(wait)")
        #expect(world.kinds == [.requestRefused] && world.writes.isEmpty)
        #expect(world.unblock("bob").text == "done")
        world.now += wait - 1
        #expect(world.unblock().text == "limited accountUnblocksDay 1")
        world.now += 1
        #expect(world.unblock().text == "done")
    }

    @Test(arguments: [
        ("", "+33612345678", "maria", "why", "invalidAccount"),
        ("alice", "0612345678", "maria", "why", "invalidPhone"),
        ("alice", "+33612345678", "", "why", "unsupportedField"),
        ("alice", "+33612345678", "maria", "", "unsupportedField"),
        ("alice", "+33612345678", "ma\u{1B}[31mria", "why", "unsupportedField"),
        ("alice", "+33612345678", "maria", "a\u{9B}b", "unsupportedField"),
        ("alice", "+33612345678", "maria", "a\u{2028}b", "unsupportedField"),
        ("alice", "+33612345678", "maria", "a\u{202E}b", "unsupportedField"),
        ("alice", "+33612345678", "maria", " \u{A0}\u{3000}", "unsupportedField"),
        ("alice", "+33612345678", "Zoë", "erklärt 🙂", "done"),
    ])
    func fields(_ account: String, _ phone: String, _ actor: String, _ reason: String, _ expected: String) {
        let world = World()
        #expect(world.unblock(account, phone, actor: actor, reason: reason).text == expected)
        if expected != "done" { #expect(world.changes.isEmpty) }
    }

    /// Another tenant's account of the same name is another.
    @Test func itIsTheTenants() throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        try StreakTests.fail(world, 5, purpose: 2)
        world.caller.tenant = 2
        #expect(world.unblock().text == "done")
        world.caller.tenant = 1
        #expect(world.requestCode(session: 9, purpose: 2).refusal?.status == .blocked)
    }
}

extension World {
    fileprivate func unblock(_ who: (String, String)) -> Reply { unblock(who.0, who.1) }
}
