import Testing
import Wire

@testable import Engine

/// How long what is remembered of a person lives: no table grows for ever, and no event outlives the record of its subject.
@Suite struct RetentionTests {
    static let day = RuleBounds.dayMs

    /// The ends of the two records of an account, which must be the same.
    private static func end(_ world: World, sourceLocation: SourceLocation = #_sourceLocation) throws
        -> UInt64
    {
        world.state.now = world.now
        let account = world.accountRecord()
        let keptUntil = account.keptUntil
        try #require(keptUntil > 0, sourceLocation: sourceLocation)
        let row = world.state.rows.first { place, _ in
            place.table == Table.subject.rawValue
                && place.key == RecordKey(account.subject).withBytes { Array($0) }
        }
        let subject = try #require(row, "the account's subject has a record", sourceLocation: sourceLocation)
            .value
        #expect(subject.expiresAt == keptUntil, sourceLocation: sourceLocation)
        return keptUntil
    }

    @Test func nothingIsKeptForEver() throws {
        let world = World()
        let id = try world.open()
        _ = world.verify(id, try world.wrongCode(of: id))
        _ = world.verify(id, try world.code(of: id))
        #expect(world.state.rows.values.allSatisfy { $0.expiresAt > world.now })
    }

    @Test func aPairLivesEquallyLongAndIsRenewedSeldom() throws {
        let world = World()
        _ = try world.open()
        let first = world.now
        #expect(try Self.end(world) == first + 62 * Self.day)
        let subject = world.accountRecord().subject
        world.now = first + 31 * Self.day
        _ = try world.open(session: 2)
        #expect(try Self.end(world) == first + 62 * Self.day, "31 days are left: no write of the subject")
        #expect(!world.changes.contains { $0.table == .subject })
        world.now += 60_000
        _ = try world.open(session: 3)
        #expect(try Self.end(world) == world.now + 62 * Self.day)
        #expect(world.accountRecord().subject == subject)
        world.now += 62 * Self.day
        world.state.now = world.now
        #expect(world.accountRecord().keptUntil == 0)
        _ = try world.open(session: 4)
        #expect(world.accountRecord().subject != subject, "a stranger again")
    }

    /// Events that come of requests that don't write the account renew it all the same.
    @Test(arguments: ["refused", "wrong", "cancelled", "reported"])
    func everyEventIsOutlivedByItsSubject(_ how: String) throws {
        let world = World()
        let first = world.now
        _ = try world.open()
        // A challenge from just before the renewal is due, whose event comes just after.
        world.now = first + 31 * Self.day - 10_000
        let id = try world.open(session: 2)
        let token: Bytes16
        if case .leased(let draft) = world.lease(id) { token = draft.push.token } else { token = .zero }
        #expect(try Self.end(world) == first + 62 * Self.day)
        world.now += 12_000
        switch how {
        case "refused": #expect(world.requestCode(session: 3).refusal?.limit == .resendGap)
        case "wrong": _ = world.verify(id, try world.wrongCode(of: id), session: 2)
        case "cancelled": _ = world.cancel(id, session: 2)
        default: _ = world.report(id, token, .submitted)
        }
        let event = try #require(world.events.last)
        #expect(event.subject == world.accountRecord().subject)
        #expect(try Self.end(world) == world.now + 62 * Self.day)
    }

    @Test func failuresInARowOutliveAYearAndAtTheCapEverything() throws {
        let world = World()
        let id = try world.open()
        _ = world.verify(id, try world.wrongCode(of: id))
        world.now += 400 * Self.day - 1
        world.state.now = world.now
        #expect(world.streak().total == 1)
        world.now += 1
        world.state.now = world.now
        #expect(world.streak().total == 0)
        var streak = StreakRecord()
        for _ in 0..<24 { _ = streak.fail(1, policy: .psd2Payment, now: world.now) }
        world.set(streak)
        world.now += RuleBounds.hourMs
        let last = try world.open(session: 2)
        _ = world.verify(last, try world.wrongCode(of: last), session: 2)
        #expect(world.kinds.contains(.factorDisabled))
        world.now += 4_000 * Self.day
        world.state.now = world.now
        #expect(world.streak().total == 25, "only a higher class or Unblock ends it")
    }

    /// A stranger's failures don't keep the owner's alive.
    @Test func aClassIsForgottenByItsOwnLastFailure() {
        let world = World()
        var streak = StreakRecord()
        _ = streak.fail(1, policy: .shopLogin, now: world.now)
        _ = streak.fail(0, policy: .shopLogin, now: world.now + 300 * Self.day)
        world.set(streak)
        world.now += 400 * Self.day
        world.state.now = world.now
        #expect(world.streak().classes[1].failures == 0)
        #expect(world.streak().classes[0].failures == 1)
    }

    /// The mark of a clock that went back outlives every record that it voids, those of ids from the future too.
    @Test func theClocksMarkOutlivesWhatItVoids() throws {
        let world = World()
        let id = world.newID(world.now + RuleBounds.maxRequestAgeMs)
        let challenge = try #require(world.requestCode(id: id).challenge).challenge
        world.now += 1
        (world.state.now, world.state.epoch) = (world.now, world.epoch)
        world.engine.note(.clockStepped, context: world.context, state: &world.state)
        while world.state.rows[MemoryState.Place(table: Table.challenge.rawValue, key: RecordKey(challenge).withBytes { Array($0) })].map({
            $0.expiresAt > world.now
        }) ?? false {
            world.state.now = world.now
            #expect(world.engine.clockSteppedMs(&world.state) == World.start + 1)
            world.now += 60_000
        }
    }
}
