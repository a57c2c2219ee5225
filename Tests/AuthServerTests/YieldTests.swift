import LibCrypto
import NIOCore
import NIOEmbedded
import Store
import Testing
import Wire

@testable import AuthServer

/// A turn that leaves work behind lets the loop look at its sockets: whoever pipelines waits for those who don't.
@Suite struct YieldTests {
    @Test func aLongPipelineWaitsForTheSockets() throws {
        let folder = try TemporaryFolder()
        var settings = try TestServer.settings(in: folder.path)
        settings.runsJobsByHand = true
        let loop = EmbeddedEventLoop()
        let batch = try ServerCore(settings, master: try MasterKey.load(settings.masterKeyPath)).makeBatch(on: loop)
        loop.run()
        let channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandler(
            Connection(batch: batch, listener: settings.listeners[0], uid: try #require(settings.peers[0].uid)))
        channel.connect(to: try SocketAddress(unixDomainSocketPath: "/embedded"), promise: nil)
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        var count = 0
        let pings = Bounds.maxInFlight * 3
        try bytes.withUnsafeMutableBytes { all in
            func add<M: RequestMessage>(_ message: M, _ number: Int) throws {
                count += try FieldEncoder.request(
                    message, correlation: UInt32(number), into: UnsafeMutableRawBufferPointer(rebasing: all[count...]))
            }
            try add(Hello(), 1)
            for number in 0..<pings { try add(Ping(), 2 + number) }
        }
        try channel.writeInbound(ByteBuffer(bytes: bytes.prefix(count)))
        // All that the loop has to do before it looks at its sockets: one turn.
        loop.run()
        #expect(batch.counters.requests == UInt64(Bounds.maxInFlight) && batch.turnIsScheduled)
        var turns = 1
        while batch.turnIsScheduled {
            loop.advanceTime(by: .microseconds(Bounds.yieldMicros))
            turns += 1
        }
        #expect(batch.counters.requests == UInt64(pings + 1) && turns == 4)
        channel.close(promise: nil)
        loop.run()
        #expect(try batch.closeIfIdle())
    }
}
