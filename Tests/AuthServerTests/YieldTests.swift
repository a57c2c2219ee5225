import Testing
import Wire

@testable import AuthServer

/// A turn that leaves work behind lets the loop look at its sockets: whoever pipelines waits for those who don't.
@Suite struct YieldTests {
    @Test func aLongPipelineWaitsForTheSockets() throws {
        let server = try HandBatch()
        let peer = try server.peer()
        let pings = Bounds.maxInFlight * 3
        let before = server.batch.counters.requests
        peer.send(bytes: Array(repeatElement(try encoded(Ping()), count: pings).joined()))
        // All that happens before the loop looks at its sockets again: one turn.
        server.batch.turn()
        #expect(server.batch.counters.requests == before + UInt64(Bounds.maxInFlight) && server.batch.wantsTurn)
        var turns = 1
        while server.batch.wantsTurn {
            server.batch.turn()
            turns += 1
        }
        #expect(turns == 3 && peer.take() == pings)
        try server.close([peer])
    }
}
