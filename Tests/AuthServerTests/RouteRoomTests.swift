import Testing
import Wire

@testable import AuthServer

/// The desk of routes is bounded, and nobody fills it for others.
@Suite struct RouteRoomTests {
    private struct World {
        let hand: HandBatch
        let desk = RouteDesk()
        var now: UInt64 = 1_000_000
        var couriers: [Connection] = []

        init() throws { hand = try HandBatch() }

        mutating func courier(uid: UInt32) -> Connection {
            let connection = Connection(batch: hand.batch, listener: ListenerRule(path: "/"), uid: uid)
            couriers.append(connection)
            return connection
        }

        func tell(_ courier: Connection, _ name: String, drained: UInt8 = 0) -> UInt8? {
            var message = ReportRoute()
            (message.gateway, message.breaker, message.drained) = (InlineBytes(name), 1, drained)
            return desk.report(message, courier, now: now)?.drained
        }

        func drain(_ name: String, _ drained: UInt8) -> Bool {
            var message = DrainRoute()
            (message.gateway, message.drained) = (InlineBytes(name), drained)
            return desk.drain(message, now: now)
        }

        /// Each connection as full as it may be, all of one uid: 288 names of which 256 have room.
        mutating func fill(uid: UInt32, drained: UInt8 = 0) -> Int {
            var taken = 0
            for number in 0..<9 {
                let courier = courier(uid: uid)
                for gateway in 0..<RouteDesk.mostOfOne
                where tell(courier, "\(number)-\(gateway)", drained: drained) != nil { taken += 1 }
            }
            return taken
        }
    }

    @Test func whatIsNotToldAnyMoreMakesRoom() throws {
        var world = try World()
        #expect(world.fill(uid: 1) == RouteDesk.most)
        #expect(
            world.tell(world.courier(uid: 1), "new") == nil, "its own user has told of all of them just now")
        world.now += RouteDesk.staleMs
        #expect(world.tell(world.couriers[0], "0-0") == 0, "this one is told of again")
        for number in 0..<RouteDesk.mostOfOne {
            #expect(world.tell(world.courier(uid: 1), "new-\(number)") == 0)
        }
        #expect(world.desk.count == RouteDesk.most)
        // A courier that has told of as many names as it may, and tells of others now.
        #expect(world.tell(world.couriers[0], "other") == 0)
        try world.hand.close([])
    }

    @Test func oneUsersRoutesLeaveRoomForAnothers() throws {
        var world = try World()
        #expect(world.fill(uid: 1) == RouteDesk.most)
        var taken = 0
        for _ in 0..<9 {
            let courier = world.courier(uid: 2)
            for gateway in 0..<RouteDesk.mostOfOne where world.tell(courier, "b-\(gateway)") != nil {
                taken += 1
            }
        }
        #expect(taken == RouteDesk.most / 2, "half of it each")
        #expect(world.desk.count == RouteDesk.most)
        #expect(world.tell(world.courier(uid: 3), "c") == 0)
        try world.hand.close([])
    }

    /// Couriers say that everything is drained: that never stands in the operator's way.
    @Test func drainedRoutesLeaveRoomForWishes() throws {
        var world = try World()
        for uid in 1...9 as ClosedRange<UInt32> {
            let courier = world.courier(uid: uid)
            for gateway in 0..<RouteDesk.mostOfOne {
                #expect(world.tell(courier, "\(uid)-\(gateway)", drained: 1) != nil || uid == 9)
            }
        }
        #expect(world.desk.wishCount == DrainWishes.most)
        for number in 0..<DrainWishes.most { #expect(world.drain("w\(number)", 1)) }
        #expect(!world.drain("one-more", 1), "the operator's own word isn't forgotten")
        #expect(world.desk.wishCount == DrainWishes.most)
        try world.hand.close([])
    }

    /// One courier that is started again and again, each time with other names that it has drained.
    @Test func oneUsersWishesAreBounded() throws {
        var world = try World()
        for round in 0..<12 {
            let courier = world.courier(uid: 1)
            for gateway in 0..<RouteDesk.mostOfOne {
                #expect(world.tell(courier, "\(round)-\(gateway)", drained: 1) == 1)
            }
            world.desk.remove(courier)
        }
        #expect(world.desk.wishCount == DrainWishes.mostOfUID)
        #expect(
            world.tell(world.courier(uid: 1), "11-0") == 1, "the newest are kept over a courier's restart")
        try world.hand.close([])
    }

    @Test func whatHasComeTrueOrIsGoneIsForgotten() throws {
        var world = try World()
        let courier = world.courier(uid: 1)
        for number in 0..<DrainWishes.most { #expect(world.drain("w\(number)", number < 8 ? 0 : 1)) }
        #expect(world.tell(courier, "w3", drained: 1) == 0)
        for number in 0..<7 { #expect(world.drain("new-\(number)", 1), "\(number)") }
        #expect(!world.drain("new-7", 1))
        #expect(world.tell(courier, "w3", drained: 1) == 0, "said, and not come true yet: kept")
        world.now += DrainWishes.keepMs
        #expect(world.tell(courier, "w8") == 1)
        #expect(world.drain("new-7", 1))
        #expect(world.tell(courier, "w8") == 1, "a courier still tells of it: kept")
        #expect(world.tell(courier, "w9") == 0, "nobody has told of it for an hour: forgotten")
        try world.hand.close([])
    }
}
