import Testing
import Wire

@testable import Engine

/// Tries leave a trace: each refusal of a write that may be one is an event, alike for ids that are unknown,
/// foreign and another session's.
@Suite struct TraceTests {
    /// Kind, status and class of the one event of the last request.
    private func told(_ world: World, sourceLocation: SourceLocation = #_sourceLocation) throws -> (
        Status?, UInt8?
    ) {
        let event = try #require(world.events.first, sourceLocation: sourceLocation)
        #expect(
            world.events.count == 1 && event.kind == EventPush.Kind.requestRefused.rawValue,
            sourceLocation: sourceLocation)
        #expect(event.uid == 1000 && event.tenant == world.caller.tenant, sourceLocation: sourceLocation)
        #expect(world.writes.isEmpty, sourceLocation: sourceLocation)
        return (event.status == 0 ? nil : Status(rawValue: event.status), event.assurance)
    }

    @Test func whileBlocked() throws {
        let world = World()
        let open = try world.open(session: 50, purpose: 2)
        world.now += 30_000
        let other = try world.open(session: 51, purpose: 2)
        for number in 0..<5 { _ = world.verify(other, try world.wrongCode(of: other, number), session: 51) }
        _ = world.verify(open, try world.code(of: open), session: 50)
        #expect(try told(world) == (.blocked, 1))
        #expect(world.events.first?.limit == Limit.paymentStreak.rawValue)
        #expect(
            world.events.first?.challenge == open
                && world.events.first?.subject == world.accountRecord().subject)
    }

    @Test func conflictsAndGarbage() throws {
        let world = World()
        let request = world.newID()
        let id = try #require(world.requestCode(id: request).challenge).challenge
        _ = world.requestCode(session: 2, id: request)
        #expect(try told(world) == (.requestIdConflict, 1))
        #expect(world.events.first?.challenge == id)
        let guess = world.newID()
        _ = world.verify(id, try world.wrongCode(of: id), id: guess)
        _ = world.verify(id, try world.code(of: id), id: guess)
        #expect(try told(world) == (.requestIdConflict, 1))
        _ = world.cancel(id, id: guess)
        #expect(try told(world) == (.requestIdConflict, 1))
        _ = world.redeem(Bytes32(head: world.newID(), tail: world.newID()))
        #expect(try told(world) == (.grantInvalid, nil))
        // Lookups write nothing, whatever they are refused.
        _ = world.checkGrant(Bytes32(head: world.newID(), tail: world.newID()))
        #expect(world.changes.isEmpty && world.events.isEmpty)
        _ = world.status(world.newID())
        #expect(world.changes.isEmpty && world.events.isEmpty)
        _ = world.quota(purpose: 2, as: .anonymous)
        #expect(world.changes.isEmpty && world.events.isEmpty)
    }

    /// What doesn't exist, isn't this tenant's or is another session's: one event each, which names the id
    /// that came.
    @Test(arguments: ["verify", "resend", "cancel"]) func unknownForeignAndOfAnotherSession(
        _ operation: String
    ) throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        let id = try world.open()
        let unknown = world.newID()
        for (challenge, session, tenant): (Bytes16, UInt64, UInt32) in [
            (unknown, 1, 1), (id, 2, 1), (id, 1, 2),
        ] {
            world.caller.tenant = tenant
            let reads = world.state.reads
            switch operation {
            case "verify":
                #expect(
                    world.verify(challenge, CodeBytes("123456"), session: session).text == "challengeNotOpen")
            case "resend": #expect(world.resend(challenge, session: session).text == "challengeNotOpen")
            default: #expect(world.cancel(challenge, session: session).text == "challengeNotOpen")
            }
            #expect(try told(world).0 == .challengeNotOpen)
            #expect(world.events.first?.challenge == challenge)
            #expect(world.state.reads - reads == (operation == "verify" ? 5 : 3), "the same work")
            if tenant == 2 {
                #expect(
                    world.events.first?.subject == .zero && world.events.first?.purpose == 0,
                    "another tenant learns nothing")
            }
        }
    }

    @Test func aReplayAfterThirtySeconds() throws {
        let world = World()
        let id = try world.open()
        let (code, request) = (try world.code(of: id), world.newID())
        _ = world.verify(id, code, id: request)
        #expect(world.events.first?.assurance == 1)
        world.now += 30_000
        #expect(world.verify(id, code, id: request).text == "alreadyVerified")
        #expect(try told(world) == (.alreadyVerified, 1))
    }

    /// Whoever makes mistakes only is told so and leaves none.
    @Test func mistakesLeaveNone() throws {
        let world = World()
        let id = try world.open()
        for reply in [
            world.requestCode(""), world.requestCode("alice", "0612345678"), world.requestCode(purpose: 77),
            world.verify(id, CodeBytes("1")),
            world.requestCode(id: world.newID(world.now - 700_000)),
        ] {
            #expect(reply.refusal != nil && world.events.isEmpty && world.changes.isEmpty, "\(reply.text)")
        }
    }

    @Test func addressesAreFourOrSixteenBytes() throws {
        let world = World()
        let id = try world.open()
        for count in [0, 1, 3, 4, 5, 15, 16] {
            var ask = Quota()
            (ask.purpose, ask.account, ask.phone, ask.session) = (
                1, AccountBytes("zoe"), PhoneBytes(World.phone), World.session(3)
            )
            ask.clientIP = InlineBytes([UInt8](repeating: 7, count: count))
            var request = RequestCode()
            (request.requestID, request.purpose, request.account, request.phone) = (
                world.newID(), 1, ask.account, ask.phone
            )
            (request.session, request.clientIP) = (World.session(UInt64(count) + 10), ask.clientIP)
            request.assurance = UInt8(count % 3)
            var guess = Verify()
            (guess.requestID, guess.challenge, guess.session, guess.clientIP) = (
                world.newID(), id, World.session(1), ask.clientIP
            )
            guess.code = try world.wrongCode(of: id, count)
            let isFine = [0, 4, 16].contains(count)
            for reply in [
                world.send(.quota(ask)), world.send(.requestCode(request)), world.send(.verify(guess)),
            ] {
                #expect(
                    (reply.refusal?.status == .unsupportedField) == !isFine, "\(count) bytes: \(reply.text)")
            }
        }
    }

    // MARK: shadow

    @Test func aShadowNamesEveryLimit() throws {
        let world = World(tenants: [
            World.generous { tenant in
                (tenant.unverifiedPerHour, tenant.unverifiedPerDay, tenant.openPerPhone) = (1, 1, 1)
                tenant.modes[.phoneUnverifiedHour] = .shadow
                tenant.modes[.phoneUnverifiedDay] = .shadow
                tenant.modes[.accountUnverifiedHour] = .off
                tenant.modes[.accountUnverifiedDay] = .shadow
                tenant.modes[.phoneOpenChallenges] = .off
            }
        ])
        _ = try world.open()
        world.now += 120_000
        #expect(world.requestCode(session: 2).text == "created")
        #expect(world.kinds == [.requestRefused, .codeRequested])
        let event = try #require(world.events.first)
        let numbers = [Limit.phoneUnverifiedHour, .phoneUnverifiedDay, .accountUnverifiedDay].map(\.rawValue)
        #expect(event.shadowLimits.array == numbers.sorted())
        #expect(event.limit == Limit.phoneUnverifiedDay.rawValue && event.status == Status.startAnew.rawValue)
        #expect(world.events.last?.shadowLimits.isEmpty == true)
        world.now += 120_000
        let id = try #require(world.requestCode(session: 2).challenge)
        #expect(id.disposition == ChallengeReply.Disposition.resent.rawValue)
        #expect(
            world.events.first?.shadowLimits.array == numbers.sorted()
                && world.events.first?.challenge == id.challenge)
    }

    // MARK: quota

    @Test func quotaTellsEachLimitsRest() throws {
        let world = World(tenants: [World.tenant { ($0.totalPerHour, $0.totalPerDay) = (3, 50) }])
        for account in ["a", "b"] { try LimitTests.verified(world, account, World.phone) }
        let reply = try #require({ if case .quota(let m) = world.quota("c") { m } else { nil } }())
        #expect(
            (reply.sendsLeftHour, reply.sendsLeftDay, reply.openLeft) == (1, 10, 3),
            "one of three is left, whatever is unverified")
        let left = reply.left.array
        let pairs = stride(from: 0, to: left.count, by: 2).map {
            "\(Limit(rawValue: left[$0])?.name ?? "?") \(left[$0 + 1])"
        }
        #expect(
            pairs == [
                "phoneUnverifiedHour 5", "phoneUnverifiedDay 10", "phoneTotalHour 1", "phoneTotalDay 48",
                "accountUnverifiedHour 5",
                "accountUnverifiedDay 10", "accountTotalHour 3", "accountTotalDay 50", "accountPhonesDay 3",
                "phoneAccountsDay 3",
                "phoneOpenChallenges 3",
            ])
    }

    @Test func quotaWithoutLimits() throws {
        let world = World(tenants: [World.tenant { $0.modes.setAll(.off) }])
        for session: UInt64 in 1...9 {
            _ = try world.open(session: session)
            world.now += 120_000
        }
        #expect(world.quota(session: 99).text == "quota 255 255 255")
        let shadow = World(tenants: [
            World.tenant { tenant in
                tenant.modes.setAll(.shadow)
                tenant.modes[.phoneTotalHour] = .enforce
            }
        ])
        for session: UInt64 in 1...7 {
            _ = try shadow.open(session: session)
            shadow.now += 120_000
        }
        #expect(shadow.quota(session: 99).text == "quota 13 255 255")
    }
}
