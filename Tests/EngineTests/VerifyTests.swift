import Testing
import Wire

@testable import Engine

/// Verify: right, wrong, last, exhausted, malformed, late, repeated, and by whom.
@Suite struct VerifyTests {
    @Test func theRightCodeOnce() throws {
        let world = World()
        let id = try world.open()
        let code = try world.code(of: id)
        let reply = try #require(world.verify(id, code).verified)
        #expect(reply.purpose == 1)
        #expect(reply.expiresAtMs == world.now + 120_000)
        #expect(reply.expiresAtWallMs == world.context.wall + 120_000)
        #expect(world.status(id).text == "verified")
        #expect(world.verify(id, code).text == "challengeNotOpen")
        #expect(world.resend(id).text == "challengeNotOpen")
        #expect(world.cancel(id).text == "challengeNotOpen")
    }

    @Test func theRightCodeOnTheLastAttempt() throws {
        let world = World()
        let id = try world.open()
        for number in 0..<4 {
            #expect(world.verify(id, try world.wrongCode(of: id, number)).text == "wrongCode left \(4 - number)")
        }
        #expect(world.verify(id, try world.code(of: id)).text == "verified")
        #expect(world.streak().total == 0)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt8>) func attemptsAreUsedUp(_ attempts: UInt8) throws {
        let world = World(tenants: [World.tenant { $0.purposes = [World.purpose { $0.attempts = attempts }] }])
        let id = try world.open()
        for number in 0..<Int(attempts) {
            let left = Int(attempts) - 1 - number
            #expect(world.verify(id, try world.wrongCode(of: id, number)).text == "wrongCode left \(left)")
        }
        #expect(world.verify(id, try world.code(of: id)).text == "challengeNotOpen")
        #expect(world.status(id).text == "exhausted")
        #expect(world.streak().total == Int(attempts))
    }

    @Test(arguments: [
        (CodeAlphabet.digits, "12345"), (.digits, "1234567"), (.digits, "12345a"), (.digits, "ABCDEF"), (.digits, "1"),
        (.lettersAndDigits, "23456"), (.lettersAndDigits, "2345670"), (.lettersAndDigits, "23456I"),
        (.lettersAndDigits, "23456l"), (.lettersAndDigits, "234561"), (.lettersAndDigits, "23456O"),
    ])
    func aCodeOfImpossibleFormBurnsNothing(_ alphabet: CodeAlphabet, _ typed: String) throws {
        let world = World(tenants: [World.tenant { $0.purposes = [World.purpose { $0.alphabet = alphabet }] }])
        let id = try world.open()
        let rows = world.state.withoutEvents
        #expect(world.verify(id, CodeBytes(typed)).text == "invalidCode left 5")
        #expect(world.state.withoutEvents == rows)
        #expect(world.verify(id, try world.code(of: id)).text == "verified")
    }

    @Test func smallLettersAreReadAsCapitals() throws {
        let purpose = World.purpose { ($0.alphabet, $0.codeLength) = (.lettersAndDigits, 10) }
        let world = World(tenants: [World.tenant { $0.purposes = [purpose] }])
        let id = try world.open()
        let code = try world.code(of: id).text
        #expect(code != code.lowercased())
        #expect(world.verify(id, CodeBytes(code.lowercased())).text == "verified")
    }

    @Test(arguments: [(299_999, "verified"), (300_000, "challengeNotOpen"), (300_001, "challengeNotOpen")] as [(UInt64, String)])
    func expiryEdge(_ age: UInt64, _ expected: String) throws {
        let world = World()
        let id = try world.open()
        world.now += age
        #expect(world.status(id).text == (age < 300_000 ? "open" : "expired"))
        #expect(world.verify(id, try world.code(of: id)).text == expected)
        #expect(world.writes.isEmpty == (expected != "verified"))
    }

    @Test func aRepeatHandsTheGrantAgainFor30Seconds() throws {
        let world = World()
        let id = try world.open()
        let (code, request) = (try world.code(of: id), world.newID())
        let start = world.now
        let first = try #require(world.verify(id, code, id: request).verified)
        #expect(first.repeated == nil)
        let rows = world.state.withoutEvents
        for (delay, expected): (UInt64, String) in [
            (0, "verified"), (1, "verified"), (29_999, "verified"), (30_000, "alreadyVerified"),
            (660_000, "alreadyVerified"), (660_001, "requestTooOld"),
        ] {
            world.now = start + delay
            let reply = world.verify(id, code, id: request)
            #expect(reply.text == expected, "after \(delay) ms")
            if let again = reply.verified { #expect(again.repeated == 1 && again.grant == first.grant && again.expiresAtMs == first.expiresAtMs) }
            #expect(world.state.withoutEvents == rows)
        }
    }

    @Test func aRepeatedWrongGuessIsCountedOnce() throws {
        let world = World()
        let id = try world.open()
        let (code, request) = (try world.wrongCode(of: id), world.newID())
        for _ in 0..<7 { #expect(world.verify(id, code, id: request).text == "wrongCode left 4") }
        _ = world.verify(id, try world.wrongCode(of: id, 1))
        #expect(world.verify(id, code, id: request).text == "wrongCode left 4")
        #expect(world.streak().total == 2)
        #expect(try world.record(id).attemptsUsed == 2)
        // The answer stays when the challenge is long over.
        world.now += 400_000
        #expect(world.verify(id, code, id: request).text == "wrongCode left 4")
    }

    /// Whose it isn't learns nothing: unknown, foreign, of another session and used are the same bytes, and nothing is written.
    @Test func foreignAndUnknownAnswerAlike() throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        let id = try world.open()
        let code = try world.code(of: id)
        let wrong = try world.wrongCode(of: id)
        let used = try { () throws -> Bytes16 in
            world.now += 30_000
            let used = try world.open(session: 2)
            _ = world.verify(used, try world.code(of: used), session: 2)
            return used
        }()
        let expected = try Reply.refused(.challengeNotOpen).bytes()
        let rows = world.state.withoutEvents
        for typed in [code, wrong, CodeBytes("1"), CodeBytes("ABCDEFGH")] {
            #expect(try world.verify(world.newID(), typed).bytes() == expected)
            #expect(try world.verify(.zero, typed).bytes() == expected)
            #expect(try world.verify(id, typed, session: 2).bytes() == expected)
            #expect(try world.verify(id, typed, session: 0).bytes() == expected)
            #expect(try world.verify(used, typed, session: 2).bytes() == expected)
            world.caller.tenant = 2
            #expect(try world.verify(id, typed).bytes() == expected)
            world.caller.tenant = 1
        }
        for (foreign, unknown): (Reply, Reply) in [
            (world.resend(id, session: 2), world.resend(world.newID())),
            (world.cancel(id, session: 2), world.cancel(world.newID())),
            (world.status(id, session: 2), world.status(world.newID())),
        ] {
            #expect(try foreign.bytes() == expected)
            #expect(try unknown.bytes() == expected)
        }
        #expect(world.state.withoutEvents == rows)
        #expect(world.verify(id, code).text == "verified")
    }

    /// An alias leads to its challenge for RequestCode alone; it can't be verified, resent, cancelled or looked at.
    @Test func anAliasIsNoChallenge() throws {
        let world = World()
        let id = try world.open()
        world.now += 1
        let request = world.newID()
        _ = world.requestCode(id: request)
        let alias = world.engine.challengeID(request, 1)
        #expect(try world.record(alias).state == .alias)
        let code = try world.code(of: id)
        for reply in [world.verify(alias, code), world.resend(alias), world.cancel(alias), world.status(alias)] {
            #expect(reply.text == "challengeNotOpen")
        }
        // Not even for a caller that has no session.
        for reply in [
            world.verify(alias, code, session: 0), world.resend(alias, session: 0),
            world.cancel(alias, session: 0), world.status(alias, session: 0),
        ] {
            #expect(reply.text == "challengeNotOpen")
        }
    }
}
