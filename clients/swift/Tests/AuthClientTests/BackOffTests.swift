import Testing
import Wire

@testable import AuthClient

/// Pauses between tries, on a clock that only pauses move.
@Suite struct BackOffTests {
    static let nowhere = "/nonexistent/otpd.sock"

    static func options() -> ClientOptions {
        var options = ClientOptions()
        options.deadline = .seconds(10)
        options.backOff = .milliseconds(50)
        options.maxBackOff = .seconds(1)
        return options
    }

    @Test func serverThatNeverWasThere() async throws {
        let clock = FakeClock()
        let client = testClient(Self.nowhere, Self.options(), clock.environment(jitter: 0.5))
        let error = await failure { try await client.ping() } as? ClientError
        guard case .notConnected(let why)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.hasPrefix(Self.nowhere))
        #expect(clock.pauses == [25, 50, 100].map { .milliseconds($0) })
    }

    /// Back-off to its bound, until no further pause fits before the deadline.
    @Test func serverThatWasThereIsWaitedForUntilTheDeadline() async throws {
        let clock = FakeClock()
        let server = try FakeServer { _, peer in
            try peer.hello()
            let request = try peer.next()
            try peer.reply(to: request, pong(1))
            _ = try peer.next()
        }
        let client = testClient(server.path, Self.options(), clock.environment())
        _ = try await client.ping()
        let ended = Task { try await client.ping() }
        // The second ping's connection is cut; by then nobody listens any more.
        let complaints = try await server.stop()
        let error = await failure { try await ended.value } as? ClientError
        await client.close()
        #expect(complaints == [])
        guard case .unknownOutcome(let why)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("after a try of unknown outcome"), "\(why)")
        #expect(Array(clock.pauses.prefix(6)) == [50, 100, 200, 400, 800, 1_000].map { .milliseconds($0) })
        #expect(clock.pauses.dropFirst(5).allSatisfy { $0 == .seconds(1) })
        #expect(clock.pauses.reduce(.zero, +) < .seconds(10))
        #expect(clock.pauses.reduce(.zero, +) > .seconds(8))
    }

    @Test func retriesPauseToo() async throws {
        let clock = FakeClock()
        try await withServer(options: Self.options(), environment: clock.environment()) { _, peer in
            try peer.hello()
            for _ in 0..<4 { try peer.refuse(try peer.next(), Refusal(.unknown)) }
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure { try await client.ping() } as? ClientError
            #expect(error == .unknownOutcome("the server couldn't say"))
        }
        #expect(clock.pauses == [50, 100, 200].map { .milliseconds($0) })
    }

    @Test func noTryBeginsAfterTheDeadline() async throws {
        let clock = FakeClock()
        try await withServer(options: Self.options(), environment: clock.environment()) { _, peer in
            try peer.hello()
            let request = try peer.next()
            clock.advance(.seconds(11))
            try peer.refuse(request, Refusal(.unknown))
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure { try await client.ping() } as? ClientError
            #expect(error == .unknownOutcome("the server couldn't say"))
        }
        #expect(clock.pauses == [])
    }
}
