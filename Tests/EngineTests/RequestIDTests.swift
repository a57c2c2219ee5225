import Testing
import Wire

@testable import Engine

/// Request ids: acted once, the same outcome, another body is a conflict, and the edges of their time.
@Suite struct RequestIDTests {
    static let operations = ["requestCode", "resend", "verify", "cancel", "redeem"]

    @Test(arguments: operations, [
        (-660_001, "requestTooOld"), (-660_000, ""), (660_000, ""), (660_001, "requestFromFuture"),
    ])
    func ageEdges(_ operation: String, _ edge: (offset: Int64, status: String)) throws {
        let world = World()
        let grant = operation == "redeem" ? try world.grant() : .zero
        let id = operation == "requestCode" || operation == "redeem" ? .zero : try world.open()
        world.now += 30_000
        let requestID = world.newID(UInt64(Int64(world.now) + edge.offset))
        let reply: Reply
        let fine: String
        switch operation {
        case "requestCode": (reply, fine) = (world.requestCode(id: requestID), "created")
        case "resend": (reply, fine) = (world.resend(id, id: requestID), "resent")
        case "verify": (reply, fine) = (world.verify(id, try world.code(of: id), id: requestID), "verified")
        case "cancel": (reply, fine) = (world.cancel(id, id: requestID), "done")
        default: (reply, fine) = (world.redeem(grant, id: requestID), "grant")
        }
        #expect(reply.text == (edge.status.isEmpty ? fine : edge.status))
        if !edge.status.isEmpty { #expect(world.changes.isEmpty) }
    }

    @Test func aRepeatedRequestCodeActsOnce() throws {
        let world = World()
        let id = world.newID()
        let first = try world.requestCode(id: id).bytes()
        let rows = world.state.withoutEvents
        for delay: UInt64 in [0, 1, 29_999, 30_000, 299_999, 300_000, 660_000] {
            world.now = World.start + delay
            #expect(try world.requestCode(id: id).bytes() == first)
            #expect(world.changes.isEmpty)
        }
        #expect(world.state.withoutEvents == rows)
        world.now = World.start + 660_001
        #expect(world.requestCode(id: id).text == "requestTooOld")
    }

    /// A joined request keeps its answer when it comes again after the gap; it doesn't become a send.
    @Test func aRepeatedJoinStaysAJoin() throws {
        let world = World()
        let target = try world.open()
        world.now += 1
        let id = world.newID()
        let first = try world.requestCode(id: id).bytes()
        world.now += 60_000
        #expect(try world.requestCode(id: id).bytes() == first)
        #expect(world.requestCode("mallory", id: id).text == "requestIdConflict")
        #expect(try world.record(target).sends == 1)
    }

    @Test func aRepeatedResendByRequestCodeActsOnce() throws {
        let world = World()
        let target = try world.open()
        world.now += 30_000
        let id = world.newID()
        let first = try world.requestCode(id: id).bytes()
        world.now += 60_000
        #expect(try world.requestCode(id: id).bytes() == first)
        #expect(try world.record(target).sends == 2)
    }

    @Test func aRepeatedResendAndCancelActOnce() throws {
        let world = World()
        let target = try world.open()
        world.now += 30_000
        let (resendID, cancelID) = (world.newID(), world.newID())
        let first = try world.resend(target, id: resendID).bytes()
        world.now += 60_000
        #expect(try world.resend(target, id: resendID).bytes() == first)
        #expect(world.changes.isEmpty)
        #expect(try world.record(target).sends == 2)
        #expect(world.cancel(target, id: cancelID).text == "done")
        #expect(world.cancel(target, id: cancelID).text == "done")
        #expect(world.changes.isEmpty)
        #expect(world.cancel(target).text == "challengeNotOpen")
    }

    @Test func anotherBodyIsAConflict() throws {
        let world = World()
        let id = world.newID()
        let target = try #require(world.requestCode(id: id).challenge).challenge
        let rows = world.state.withoutEvents
        #expect(world.requestCode("bob", id: id).text == "requestIdConflict")
        #expect(world.requestCode("alice", "+33612345679", id: id).text == "requestIdConflict")
        #expect(world.requestCode(session: 2, id: id).text == "requestIdConflict")
        #expect(world.requestCode(purpose: 2, id: id).text == "requestIdConflict")
        #expect(world.requestCode(as: .anonymous, id: id).text == "requestIdConflict")
        world.caller.uid = 1001
        #expect(world.requestCode(id: id).text == "requestIdConflict")
        world.caller.uid = 1000
        #expect(world.state.withoutEvents == rows)

        let guess = world.newID()
        #expect(world.verify(target, try world.wrongCode(of: target), id: guess).text == "wrongCode left 4")
        let after = world.state.withoutEvents
        // The right code under a used id isn't even looked at.
        #expect(world.verify(target, try world.code(of: target), id: guess).text == "requestIdConflict")
        #expect(world.resend(target, id: guess).text == "requestIdConflict")
        #expect(world.cancel(target, id: guess).text == "requestIdConflict")
        #expect(world.state.withoutEvents == after)
    }

    @Test func theSameIDOfAnotherTenantIsAnotherRequest() throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        let id = world.newID()
        let one = try #require(world.requestCode(id: id).challenge)
        world.caller.tenant = 2
        let two = try #require(world.requestCode(id: id).challenge)
        #expect(two.disposition == ChallengeReply.Disposition.created.rawValue)
        #expect(one.challenge != two.challenge)
    }

    @Test func refusalsByALimitAreNotRemembered() throws {
        let world = World()
        _ = try world.open()
        let id = world.newID()
        #expect(world.requestCode("bob", id: id).text == "limited resendGap 30000")
        world.now += 30_000
        #expect(world.requestCode("bob", id: id).text == "created")
    }

    /// What a restore or a clock that went back has made void is said to be over, not handed out again.
    @Test(arguments: ["epoch", "clock"]) func aVoidChallengeIsNotRepeated(_ cause: String) throws {
        let world = World()
        let id = world.newID()
        let target = try #require(world.requestCode(id: id).challenge).challenge
        let code = try world.code(of: target)
        world.now += 1
        if cause == "epoch" { world.epoch = 2 } else { world.voidBefore = world.now }
        for reply in [
            world.requestCode(id: id), world.verify(target, code), world.resend(target), world.cancel(target),
            world.status(target),
        ] {
            #expect(reply.text == "challengeNotOpen")
        }
        world.now += 30_000
        #expect(world.requestCode().text == "created")
    }

    /// `decide` is pure: the same state, request, time and entropy give the same reply and the same writes.
    @Test func decidingAgainGivesTheSame() throws {
        let (one, two) = (World(seed: 7), World(seed: 7))
        for world in [one, two] {
            let id = try world.open()
            _ = world.verify(id, try world.wrongCode(of: id))
            world.now += 30_000
            _ = world.resend(id)
            _ = world.verify(id, try world.code(of: id))
        }
        #expect(one.state.rows == two.state.rows)
        #expect(one.changes == two.changes)
    }
}
