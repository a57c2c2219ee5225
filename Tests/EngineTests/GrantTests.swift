import Testing
import Wire

@testable import Engine

/// Grants: redeemed once, for one thing, by whoever holds the token and nobody else.
@Suite struct GrantTests {
    @Test func aGrantIsRedeemedOnce() throws {
        let world = World()
        let grant = try world.grant()
        let request = world.newID()
        #expect(world.checkGrant(grant).text == "grant")
        let first = try #require(world.redeem(grant, id: request).grantReply)
        #expect(first.repeated == nil)
        #expect(world.kinds == [.grantRedeemed])
        #expect(world.redeem(grant).text == "grantInvalid")
        #expect(world.checkGrant(grant).text == "grantInvalid")
        let rows = world.state.withoutEvents
        // The same request has the same outcome, as long as its id is good.
        for delay: UInt64 in [0, 119_999, 120_000, 660_000] {
            world.now = World.start + delay
            var again = try #require(world.redeem(grant, id: request).grantReply)
            #expect(again.repeated == 1)
            again.repeated = nil
            #expect(again == first)
            #expect(world.changes.isEmpty)
        }
        #expect(world.redeem(grant, "bob", id: request).text == "requestIdConflict")
        #expect(world.redeem(grant, session: 2, id: request).text == "requestIdConflict")
        world.now += 1
        #expect(world.redeem(grant, id: request).text == "requestTooOld")
        #expect(world.state.withoutEvents == rows)
    }

    @Test func aCheckSpendsNothing() throws {
        let world = World()
        let grant = try world.grant()
        for _ in 0..<3 { #expect(world.checkGrant(grant).text == "grant") }
        #expect(world.changes.isEmpty)
        let reply = try #require(world.redeem(grant).grantReply)
        #expect(reply.verifiedAtMs == world.now)
        #expect(reply.expiresAtMs == world.now + 120_000)
    }

    /// Session, account, purpose and tenant are those of the challenge; a wrong question doesn't spend it.
    @Test func aGrantIsForOneThing() throws {
        let world = World(tenants: [World.tenant(1), World.tenant(2)])
        let grant = try world.grant()
        let expected = try Reply.refused(.grantInvalid).bytes()
        let rows = world.state.withoutEvents
        for (account, session, purpose): (String, UInt64, UInt16) in [
            ("alice", 2, 1), ("alice", 0, 1), ("bob", 1, 1), ("alic", 1, 1), ("", 1, 1), ("alice", 1, 2),
            ("alice", 1, 0),
        ] {
            #expect(
                try world.checkGrant(grant, account, session: session, purpose: purpose).bytes() == expected)
            #expect(try world.redeem(grant, account, session: session, purpose: purpose).bytes() == expected)
        }
        world.caller.tenant = 2
        #expect(try world.checkGrant(grant).bytes() == expected)
        #expect(try world.redeem(grant).bytes() == expected)
        world.caller.tenant = 1
        #expect(world.state.withoutEvents == rows)
        #expect(world.redeem(grant).text == "grant")
    }

    @Test(
        arguments: [(119_999, "grant"), (120_000, "grantInvalid"), (120_001, "grantInvalid")]
            as [(UInt64, String)])
    func expiryEdge(_ age: UInt64, _ expected: String) throws {
        let world = World()
        let grant = try world.grant()
        world.now += age
        #expect(world.checkGrant(grant).text == expected)
        #expect(world.redeem(grant).text == expected)
    }

    /// The token is more than what is at rest: the id alone, or with any other MAC, opens nothing.
    @Test func aForgedTokenIsInvalid() throws {
        let world = World()
        let grant = try world.grant()
        for bit in 0..<128 {
            var forged = grant
            if bit < 64 {
                forged.tail.high ^= 1 << UInt64(bit)
            } else {
                forged.tail.low ^= 1 << UInt64(bit - 64)
            }
            #expect(world.checkGrant(forged).text == "grantInvalid", "bit \(bit)")
            #expect(world.redeem(forged).text == "grantInvalid", "bit \(bit)")
        }
        #expect(world.redeem(Bytes32(head: grant.head, tail: .zero)).text == "grantInvalid")
        #expect(world.redeem(Bytes32(head: world.newID(), tail: grant.tail)).text == "grantInvalid")
        #expect(world.redeem(.zero).text == "grantInvalid")
        #expect(world.redeem(grant).text == "grant")
    }

    @Test(arguments: ["epoch", "clock"]) func aVoidGrantIsInvalid(_ cause: String) throws {
        let world = World()
        let grant = try world.grant()
        world.now += 1
        if cause == "epoch" { world.epoch = 2 } else { world.voidBefore = world.now }
        #expect(world.checkGrant(grant).text == "grantInvalid")
        #expect(world.redeem(grant).text == "grantInvalid")
    }
}
