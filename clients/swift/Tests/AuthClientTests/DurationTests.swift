import Testing
import Wire

@testable import AuthClient

/// Whatever a program sets as a deadline or a pause, and whenever a deadline runs out.
@Suite struct DurationTests {
    static let farthest = Duration(secondsComponent: .max, attosecondsComponent: 0)
    static let lowest = Duration(secondsComponent: .min, attosecondsComponent: 0)

    @Test(arguments: [farthest, .seconds(Int64(1) << 40), .seconds(86_401)])
    func longDeadline(deadline: Duration) async throws {
        var options = quickOptions(deadline: deadline)
        (options.backOff, options.maxBackOff) = (deadline, .milliseconds(2))
        try await withServer(options: options) { number, peer in
            try peer.hello()
            let request = try peer.next()
            // The first connection is cut: a pause is computed, too.
            if number == 0 { return }
            try peer.reply(to: request, pong(7))
            try peer.expectClose()
        } test: { client, _ in
            expectSame(try await client.ping(7).token, 7)
        }
    }

    @Test(arguments: [lowest, .seconds(-1), .zero])
    func deadlineThatHasPassed(deadline: Duration) async throws {
        try await withServer(options: quickOptions(deadline: deadline)) { _, peer in
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.ping() } as? ClientError
            #expect(error == .notConnected("the deadline passed before anything was sent"))
            #expect(server.connections == 0)
        }
    }

    @Test func pausesAreBounded() {
        for pause in [Self.farthest, Self.lowest, .seconds(-1), .zero, .seconds(7_200)] {
            var options = ClientOptions()
            (options.backOff, options.maxBackOff) = (pause, pause)
            for step in [1, 20, 1_000] {
                let pause = CallAttempts.pause(step: step, options: options.bounded, jitter: 1)
                #expect(pause >= .zero && pause <= .seconds(3_600))
            }
        }
    }

    /// The clock moves at each look, so that over the steps the deadline passes at every look in turn: before
    /// the dialing, within it, before Hello, before the request.
    @Test(arguments: 1...12) func deadlineBetweenTwoLines(looks: Int) async throws {
        let clock = FakeClock()
        let options = quickOptions(deadline: .seconds(10))
        let server = try FakeServer { _, peer in
            while let request = try peer.nextUnlessClosed() {
                if request.opcode == .hello { try peer.reply(to: request, helloReply()) }
                if request.opcode == .ping { try peer.reply(to: request, pong(1)) }
            }
        }
        let client = testClient(server.path, options, clock.environment())
        clock.setStep(.milliseconds(10_100 / looks))
        do { _ = try await client.ping() } catch {
            // On a busy machine what is left of the deadline may end on the way.
            switch error as? ClientError {
            case .notConnected, .unknownOutcome: break
            case .refused, .invalidRequest, .goodbye, .protocolViolation, .closed, nil: Issue.record(error)
            }
        }
        clock.setStep(.zero)
        expectSame(try await client.ping(1).token, 1)
        await client.close()
        #expect(try await server.stop() == [])
    }
}
