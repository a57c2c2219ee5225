import Engine
import Store
import Testing
import Wire

@testable import AuthServer

/// What waits for couriers, and what that costs those who ask.
@Suite struct CourierDeskTests {
    private func courier(_ server: HandBatch, credit: UInt16, uid: UInt32? = nil) throws -> HandPeer {
        let peer = try server.peer(uid: uid)
        var lease = LeaseMessages()
        lease.credit = credit
        try peer.send(lease)
        server.turn()
        #expect(peer.take() == 1)
        return peer
    }

    private func messages(_ peer: HandPeer) throws -> [MessagePush] {
        try peer.frames().filter { $0.opcode == Opcode.message.rawValue }.map {
            try $0.decode(MessagePush.self)
        }
    }

    private func report(_ message: MessagePush, _ outcome: ReportMessage.Outcome) -> ReportMessage {
        var report = ReportMessage()
        (report.challenge, report.send, report.token) = (message.challenge, message.send, message.token)
        report.outcome = outcome.rawValue
        return report
    }

    private func cancel(_ challenge: Bytes16, _ server: HandBatch) -> Cancel {
        var cancel = Cancel()
        (cancel.challenge, cancel.session) = (challenge, testSession)
        cancel.requestID = Bytes16(high: server.batch.clock.now().engineMs << 16, low: challenge.low)
        return cancel
    }

    /// Nothing that is settled is looked at when its lease would have ended.
    @Test(arguments: [ReportMessage.Outcome.submitted, .delivered, .permanentFailure])
    func aSettledMessageWaitsNoLonger(_ outcome: ReportMessage.Outcome) throws {
        let clock = StillClock()
        let server = try HandBatch { $0.clockSource = { clock.source } }
        let courier = try courier(server, credit: 64)
        let asker = try server.peer()
        asker.send(bytes: (0..<40).flatMap { _ in server.requestCode().bytes })
        server.turn()
        let leased = try messages(courier)
        #expect(leased.count == 40 && server.batch.couriers.waiting == 40)
        for message in leased { try courier.send(report(message, outcome)) }
        server.turn()
        #expect(server.batch.couriers.waiting == 0)
        clock.pass(Bounds.leaseMs + 1)
        server.batch.tick()
        server.turn()
        #expect(server.batch.couriers.looksInVain == 0)
        try server.close([courier, asker])
    }

    /// Nor one whose challenge is over, leased or not.
    @Test(arguments: [0, 64] as [UInt16]) func aDeadMessageWaitsNoLonger(_ credit: UInt16) throws {
        let clock = StillClock()
        let server = try HandBatch { $0.clockSource = { clock.source } }
        let courier = try courier(server, credit: credit)
        let asker = try server.peer()
        asker.send(bytes: (0..<20).flatMap { _ in server.requestCode().bytes })
        server.turn()
        #expect(server.batch.couriers.waiting == 20)
        for reply in asker.frames() {
            try asker.send(cancel(try reply.decode(ChallengeReply.self).challenge, server))
        }
        server.turn()
        #expect(server.batch.couriers.waiting == 0)
        clock.pass(Bounds.leaseMs + 1)
        server.batch.tick()
        server.turn()
        #expect(server.batch.couriers.looksInVain == 0)
        try server.close([courier, asker])
    }

    /// A message that is given back is due once more, when it is due; one whose courier went away, at its
    /// lease's end.
    @Test func whatIsNotSettledIsLeasedAgain() throws {
        let clock = StillClock()
        let server = try HandBatch { $0.clockSource = { clock.source } }
        let courier = try courier(server, credit: 64)
        let asker = try server.peer()
        asker.send(bytes: server.requestCode().bytes + server.requestCode().bytes)
        server.turn()
        let leased = try messages(courier)
        try #require(leased.count == 2)
        try courier.send(report(leased[0], .transientFailure))
        server.turn()
        #expect(server.batch.couriers.waiting == 2)
        clock.pass(1_001)
        server.batch.tick()
        server.turn()
        #expect(try messages(courier).map(\.challenge) == [leased[0].challenge])
        clock.pass(Bounds.leaseMs)
        server.batch.tick()
        server.turn()
        #expect(Set(try messages(courier).map(\.challenge)) == Set(leased.map(\.challenge)))
        #expect(server.batch.couriers.looksInVain == 0)
        try server.close([courier, asker])
    }

    /// Settled and due again in one batch: the network gave up at once, and another gateway would take it.
    @Test func whatIsDueOnceMoreIsNotForgotten() throws {
        let server = try HandBatch()
        let courier = try courier(server, credit: 2)
        let asker = try server.peer()
        asker.send(bytes: server.requestCode().bytes)
        server.turn()
        let message = try #require(try messages(courier).first)
        var taken = report(message, .submitted)
        taken.hasOther = 1
        courier.send(bytes: try encoded(taken) + encoded(report(message, .undelivered)))
        server.turn()
        server.batch.tick()
        server.turn()
        #expect(try messages(courier).map(\.challenge) == [message.challenge])
        try server.close([courier, asker])
    }

    /// One tenant's backlog leaves room to others.
    @Test func aBacklogTakesHalfOfTheQueue() throws {
        let server = try HandBatch { $0.maxDueMessages = 40 }
        let peers = [try server.peer(), try server.peer(tenant: 2)]
        func accepted(_ peer: HandPeer) throws -> Int {
            var count = 0
            // One at a time: room is counted when a batch is sealed.
            for _ in 0..<60 {
                peer.send(bytes: server.requestCode().bytes)
                server.turn()
                let frames = peer.frames()
                try #require(frames.count == 1)
                if frames[0].status == .done { count += 1 } else { #expect(frames[0].status == .overloaded) }
            }
            return count
        }
        #expect(try accepted(peers[0]) == 20)
        #expect(try accepted(peers[1]) == 10, "half of what the other left")
        // What is no send goes on.
        try peers[0].send(cancel(Bytes16(high: 1, low: 1), server))
        server.turn()
        #expect(peers[0].frames().map(\.status) == [.challengeNotOpen])
        try server.close(peers)
    }

    @Test func aLoneTenantHasAllOfIt() throws {
        let server = try HandBatch {
            $0.maxDueMessages = 40
            $0.tenants.removeLast()
        }
        let peer = try server.peer()
        for _ in 0..<50 {
            peer.send(bytes: server.requestCode().bytes)
            server.turn()
        }
        #expect(
            peer.frames().filter { $0.status == .done }.count == 40 && server.batch.couriers.waiting == 40)
        try server.close([peer])
    }

    /// Those without credit aren't walked by each request of others.
    @Test func onlyCouriersWithCreditStandInLine() throws {
        let server = try HandBatch()
        let idle = try (0..<50).map { try courier(server, credit: $0 % 2 == 0 ? 0 : 1) }
        #expect(server.batch.couriers.ready.count == 25)
        let asker = try server.peer()
        asker.send(bytes: (0..<25).flatMap { _ in server.requestCode().bytes })
        server.turn()
        let counts = try idle.map { try messages($0).count }
        #expect(counts == (0..<50).map { $0 % 2 }, "one for each that has credit")
        #expect(server.batch.couriers.ready.count == 0)
        let other = try courier(server, credit: 2)
        #expect(server.batch.couriers.ready.count == 1)
        other.connection.ended()
        #expect(server.batch.couriers.ready.count == 0)
        try server.close(idle + [asker])
    }

    @Test func couriersTakeTurns() throws {
        let server = try HandBatch()
        let couriers = try (0..<3).map { _ in try courier(server, credit: 10) }
        let asker = try server.peer()
        for round in 1...3 {
            asker.send(bytes: (0..<3).flatMap { _ in server.requestCode().bytes })
            server.turn()
            #expect(try couriers.map { try messages($0).count } == [1, 1, 1], "round \(round)")
        }
        try server.close(couriers + [asker])
    }

    /// A courier that doesn't read gets no message, stands in nobody's way, and comes back when it reads.
    @Test func aCourierThatDoesNotReadLeavesTheLine() throws {
        let server = try HandBatch()
        let deaf = try courier(server, credit: 64)
        deaf.reads = false
        deaf.send(bytes: Array(repeatElement(try encoded(Stats()), count: 64).joined()))
        server.turn()
        #expect(!deaf.connection.isWritable)
        let asker = try server.peer()
        asker.send(bytes: server.requestCode().bytes)
        server.turn()
        #expect(
            asker.take() == 1 && server.batch.couriers.ready.count == 0 && server.batch.couriers.waiting == 1)
        deaf.reads = true
        server.batch.tick()
        server.turn()
        #expect(try messages(deaf).count == 1 && server.batch.couriers.ready.count == 1)
        try server.close([deaf, asker])
    }
}
