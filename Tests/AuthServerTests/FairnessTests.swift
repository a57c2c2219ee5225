import Testing
import Wire

@testable import AuthServer
@testable import Store

/// What is shared is shared among users of the machine: one uid's thousand connections don't outvote
/// another's ten.
@Suite struct FairnessTests {
    /// A uid with `connections` connections, each of which has `count` requests outstanding, and keeps them
    /// outstanding. Made after all other peers, whose Hellos would let it be served.
    private final class Crowd {
        let peers: [HandPeer]
        private let request: () throws -> [UInt8]
        private(set) var answered: [Int]

        init(_ server: HandBatch, connections: Int, count: Int, _ request: @escaping () throws -> [UInt8])
            throws
        {
            peers = try (0..<connections).map { _ in try server.peer(uid: HandBatch.otherUID) }
            answered = Array(repeating: 0, count: connections)
            self.request = request
            for peer in peers { peer.send(bytes: try (0..<count).flatMap { _ in try request() }) }
        }

        /// Asks again for whatever was answered; returns how much that was.
        @discardableResult func goOn() throws -> Int {
            var count = 0
            for (index, peer) in peers.enumerated() {
                let taken = peer.take()
                answered[index] += taken
                count += taken
                if taken > 0 { peer.send(bytes: try (0..<taken).flatMap { _ in try request() }) }
            }
            return count
        }
    }

    @Test func aLookupDoesNotWaitForAnotherUsersPipelines() throws {
        let server = try HandBatch()
        let honest = try server.peer()
        let ping = try encoded(Ping())
        let crowd = try Crowd(server, connections: 40, count: 256) { ping }
        for _ in 0..<20 {
            server.batch.turn()
            try crowd.goOn()
            honest.send(bytes: ping)
            server.batch.turn()
            #expect(honest.take() == 1, "in the next turn, whoever else asks")
            try crowd.goOn()
        }
        try server.close(crowd.peers + [honest])
    }

    /// Who wasn't served in a turn goes before those who were, and asked again.
    @Test func eachConnectionOfAUserHasItsTurn() throws {
        let server = try HandBatch()
        let ping = try encoded(Ping())
        let crowd = try Crowd(server, connections: 40, count: 256) { ping }
        for _ in 0..<40 * Bounds.maxInFlight / Bounds.lookupsInTurn {
            server.batch.turn()
            try crowd.goOn()
        }
        #expect(crowd.answered.allSatisfy { $0 == Bounds.maxInFlight }, "\(crowd.answered)")
        try server.close(crowd.peers)
    }

    /// Forty connections against two, and against sixty-four that ask for one thing at a time.
    @Test(arguments: [(2, 200), (64, 1)]) func usersShareLookupsEqually(_ connections: Int, _ count: Int)
        throws
    {
        let server = try HandBatch()
        let ping = try encoded(Ping())
        let few = try (0..<connections).map { _ in try server.peer() }
        let crowd = try Crowd(server, connections: 40, count: 256) { ping }
        for peer in few { peer.send(bytes: Array(repeatElement(ping, count: count).joined())) }
        var (theirs, ours) = (0, 0)
        for _ in 0..<10 {
            server.batch.turn()
            theirs += try crowd.goOn()
            for peer in few {
                let taken = peer.take()
                ours += taken
                peer.send(bytes: Array(repeatElement(ping, count: taken).joined()))
            }
        }
        // A connection has one part a turn, so two of them have no more than that of it.
        let most = min(10 * connections * min(count, Bounds.maxInFlight), theirs)
        #expect(ours >= most - 2 * Bounds.maxInFlight, "\(ours) and \(theirs)")
        try server.close(crowd.peers + few)
    }

    /// Hundreds of connections that guess: somebody else's write is decided in the next turn but one, and its
    /// record is sealed soon.
    @Test func aWriteDoesNotWaitForAnotherUsersRound() throws {
        let server = try HandBatch()
        let honest = try server.peer()
        let crowd = try Crowd(server, connections: 200, count: 16) { server.dudVerify().bytes }
        for turnsBefore in [1, 2, 3, 40] {
            for _ in 0..<turnsBefore {
                server.batch.turn()
                try crowd.goOn()
            }
            let created = server.batch.counters.challengesCreated
            honest.send(bytes: server.requestCode().bytes)
            for _ in 0..<2 { server.batch.turn() }
            #expect(server.batch.counters.challengesCreated == created + 1)
            var turns = 2
            while honest.take() == 0, turns < 100 {
                server.batch.turn()
                try crowd.goOn()
                turns += 1
            }
            #expect(
                turns <= 2 + Bounds.writesInCompany / Bounds.writesInTurn,
                "its round ends when each has had a share of it")
        }
        try server.close(crowd.peers + [honest])
    }

    @Test func usersShareWritesEqually() throws {
        let server = try HandBatch()
        let few = try (0..<2).map { _ in try server.peer() }
        let crowd = try Crowd(server, connections: 100, count: 16) { server.dudVerify().bytes }
        for peer in few { peer.send(bytes: (0..<200).flatMap { _ in server.dudVerify().bytes }) }
        var (theirs, ours) = (0, 0)
        for _ in 0..<40 {
            server.batch.turn()
            theirs += try crowd.goOn()
            for peer in few {
                let taken = peer.take()
                ours += taken
                peer.send(bytes: (0..<taken).flatMap { _ in server.dudVerify().bytes })
            }
        }
        #expect(theirs + ours >= 39 * Bounds.writesInTurn)
        #expect(abs(ours - theirs) <= Bounds.writesInCompany + Bounds.writesInTurn, "\(ours) and \(theirs)")
        try server.close(crowd.peers + few)
    }

    /// Connections of one uid are one user's, whatever tenant they speak for.
    @Test func aSecondTenantIsNoSecondShare() throws {
        let server = try HandBatch {
            $0.peers.append(PeerRule(uid: HandBatch.otherUID, tenant: 2, roles: .all))
        }
        let peers =
            try (0..<2).map { try server.peer(uid: HandBatch.otherUID, tenant: 1 + $0) } + [try server.peer()]
        #expect(server.batch.users.count == 2)
        #expect(peers[0].connection.authority?.tenant == 1 && peers[1].connection.authority?.tenant == 2)
        #expect(
            peers[0].connection.user === peers[1].connection.user
                && peers[0].connection.user !== peers[2].connection.user)
        try server.close(peers)
        #expect(server.batch.users.isEmpty)
    }
}
