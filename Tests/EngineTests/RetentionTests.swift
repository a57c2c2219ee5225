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
        case "refused": #expect(world.requestCode(session: 3).text.hasPrefix("limited"))
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
        let failedAt = world.now
        world.state.now = failedAt + 400 * Self.day - 1
        #expect(world.streak().total == 1)
        world.state.now += 1
        #expect(world.streak().total == 0)
        var streak = StreakRecord()
        streak.total = 99
        world.set(streak)
        world.now += RuleBounds.hourMs
        let last = try world.open(session: 2)
        _ = world.verify(last, try world.wrongCode(of: last), session: 2)
        #expect(world.kinds.contains(.factorDisabled))
        world.state.now = world.now + 4_000 * Self.day
        #expect(world.streak().total == 100, "only an administrator ends it")
    }
}
