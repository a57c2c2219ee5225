import Testing
import Wire

@testable import AuthClient

/// The time in a request id: what the server said last, plus what the client's own clock has counted since.
@Suite struct RequestIDTests {
    static let base: UInt64 = 1_700_000_000_000

    @Test func timeIsTheServersPlusWhatPassed() async throws {
        let clock = FakeClock()
        try await withServer(environment: clock.environment()) { _, peer in
            try peer.hello(engineTimeMs: Self.base)
            try peer.expectClose()
        } test: { client, _ in
            expectSame(try await client.newRequestID().timeMs, Self.base)
            clock.advance(.milliseconds(1_234))
            expectSame(try await client.newRequestID().timeMs, Self.base + 1_234)
            clock.advance(.microseconds(999))
            expectSame(try await client.newRequestID().timeMs, Self.base + 1_234)
            clock.advance(.seconds(590))
            expectSame(try await client.newRequestID().timeMs, Self.base + 591_234)
        }
    }

    @Test func everyWriteCarriesIt() async throws {
        let clock = FakeClock()
        let seen = Seen<UInt64>()
        try await withServer(environment: clock.environment()) { _, peer in
            try peer.hello(engineTimeMs: Self.base)
            while let request = try peer.nextUnlessClosed() {
                seen.add(try request.decode(Cancel.self).requestID.timeMs)
                try peer.reply(to: request, Empty())
            }
        } test: { client, _ in
            for _ in 0..<3 {
                try await client.cancel(Cancel())
                clock.advance(.seconds(2))
            }
        }
        #expect(seen.all == [0, 2_000, 4_000].map { Self.base + $0 })
    }

    /// The server's clock may be slewed: an old base is refreshed by a Ping before it can be 660 s off.
    @Test func oldBaseIsRefreshed() async throws {
        let clock = FakeClock()
        try await withServer(environment: clock.environment()) { _, peer in
            try peer.hello(engineTimeMs: Self.base)
            try peer.reply(to: try peer.next(), pong(0, engineTimeMs: Self.base + 5_000_000))
            let request = try peer.next()
            guard try request.decode(Cancel.self).requestID.timeMs == Self.base + 5_000_000 else {
                throw FakeError.unexpected("the old base")
            }
            try peer.reply(to: request, Empty())
            try peer.expectClose()
        } test: { client, _ in
            _ = try await client.newRequestID()
            clock.advance(.seconds(601))
            try await client.cancel(Cancel())
            clock.advance(.seconds(10))
            expectSame(try await client.newRequestID().timeMs, Self.base + 5_010_000)
        }
    }

    @Test func newConnectionBringsANewBase() async throws {
        let clock = FakeClock()
        try await withServer(options: quickOptions(), environment: clock.environment()) { number, peer in
            try peer.hello(engineTimeMs: Self.base + UInt64(number) * 50_000)
            let request = try peer.next()
            if number == 0 { return }
            try peer.reply(to: request, pong(1))
            try peer.expectClose()
        } test: { client, _ in
            let before = try await client.newRequestID()
            #expect(before.timeMs == Self.base)
            _ = try await client.ping()
            let after = try await client.newRequestID()
            #expect(after.timeMs == Self.base + 50_000)
        }
    }

    /// Whatever a server says is its time, an id is made of it, and the server judges it.
    @Test func timeBeyondAllClocks() async throws {
        let clock = FakeClock()
        try await withServer(environment: clock.environment()) { _, peer in
            try peer.hello(engineTimeMs: .max)
            try peer.expectClose()
        } test: { client, _ in
            try await client.connect()
            clock.advance(.seconds(1))
            _ = try await client.newRequestID()
        }
    }

    @Test func tailsAreRandom() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.expectClose()
        } test: { client, _ in
            var tails: Set<UInt64> = []
            for _ in 0..<1_000 { tails.insert(try await client.newRequestID().low) }
            #expect(tails.count == 1_000)
        }
    }
}
