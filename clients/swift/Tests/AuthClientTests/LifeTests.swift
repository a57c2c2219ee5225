import Testing
import Wire

@testable import AuthClient

/// Closing, cancelling, and many callers at once.
@Suite struct LifeTests {
    @Test func closeLetsCallsInFlightFinishAndTakesNoNewOnes() async throws {
        let (hasRequest, mayAnswer) = (Gate(), Gate())
        try await withServer { _, peer in
            try peer.hello()
            let request = try peer.next()
            hasRequest.open()
            try mayAnswer.wait()
            try peer.reply(to: request, pong(1))
            try peer.expectClose()
        } test: { client, server in
            let call = Task { try await client.ping() }
            try await offThread { try hasRequest.wait() }
            let closing = Task { await client.close() }
            // `close` has begun when calls are refused.
            var refusal: ClientError?
            while refusal == nil {
                do { _ = try await client.newRequestID() } catch { refusal = error as? ClientError }
            }
            #expect(refusal == .closed)
            mayAnswer.open()
            expectSame(try await call.value.token, 1)
            await closing.value
            let error = await failure { try await client.verify(Verify()) } as? ClientError
            #expect(error == .closed)
            #expect(server.connections == 1)
        }
    }

    @Test func closeOfAClientThatNeverConnected() async throws {
        let client = AuthClient(path: "/nonexistent/otpd.sock")
        await client.close()
        let error = await failure { try await client.ping() } as? ClientError
        #expect(error == .closed)
    }

    /// With one place in flight the next call only goes out when the cancelled one's reply has come: until
    /// then the server may have it to act on.
    @Test func cancelledCallHoldsItsPlaceUntilItsReply() async throws {
        let (hasRequest, isCancelled) = (Gate(), Gate())
        try await withServer { _, peer in
            try peer.hello(maxInFlight: 1)
            let first = try peer.next()
            hasRequest.open()
            try isCancelled.wait()
            guard !peer.hasMore(within: 100) else { throw FakeError.unexpected("a second request in flight") }
            try peer.reply(to: first, pong(1))
            try peer.reply(to: try peer.next(), pong(2))
            try peer.reply(to: try peer.next(), pong(3))
            try peer.expectClose()
        } test: { client, server in
            let cancelled = Task { try await client.ping(1) }
            try await offThread { try hasRequest.wait() }
            cancelled.cancel()
            let error = await failure { try await cancelled.value }
            #expect(error is CancellationError)
            let second = Task { try await client.ping(2).token }
            isCancelled.open()
            expectSame(try await second.value, 2)
            expectSame(try await client.ping(3).token, 3)
            #expect(server.connections == 1)
        }
    }

    @Test func cancelledInTheLineAndBeforeIt() async throws {
        let hasRequest = Gate()
        let mayAnswer = Gate()
        try await withServer { _, peer in
            try peer.hello(maxInFlight: 1)
            let first = try peer.next()
            hasRequest.open()
            try mayAnswer.wait()
            try peer.reply(to: first, pong(1))
            let last = try peer.next()
            try peer.reply(to: last, pong(try last.decode(Ping.self).token))
            try peer.expectClose()
        } test: { client, _ in
            let first = Task { try await client.ping(1) }
            try await offThread { try hasRequest.wait() }
            let waiting = (0..<50).map { token in Task { try await client.ping(UInt64(100 + token)) } }
            for task in waiting { task.cancel() }
            for task in waiting {
                let error = await failure { try await task.value }
                #expect(error is CancellationError)
            }
            mayAnswer.open()
            expectSame(try await first.value.token, 1)
            expectSame(try await client.ping(2).token, 2)
        }
    }

    @Test func cancelledBeforeItsCallSendsNothing() async throws {
        try await withServer { _, peer in
            try peer.hello()
            let request = try peer.next()
            guard try request.decode(Ping.self).token == 2 else { throw FakeError.unexpected("the first ping") }
            try peer.reply(to: request, pong(2))
            try peer.expectClose()
        } test: { client, _ in
            try await client.connect()
            let cancelled = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await client.ping(1)
            }
            let error = await failure { try await cancelled.value }
            #expect(error is CancellationError)
            expectSame(try await client.ping(2).token, 2)
        }
    }

    @Test func cancelledWhileConnecting() async throws {
        let (hasHello, mayEnd) = (Gate(), Gate())
        try await withServer { _, peer in
            let hello = try peer.next()
            hasHello.open()
            try mayEnd.wait()
            try peer.reply(to: hello, helloReply())
            try peer.reply(to: try peer.next(), pong(2))
            try peer.expectClose()
        } test: { client, server in
            let cancelled = Task { try await client.ping(1) }
            try await offThread { try hasHello.wait() }
            cancelled.cancel()
            let error = await failure { try await cancelled.value }
            #expect(error is CancellationError)
            mayEnd.open()
            // The connection that it began is there for the next call.
            expectSame(try await client.ping(2).token, 2)
            #expect(server.connections == 1)
        }
    }

    /// 200 tasks, replies in any order, the connection cut now and then: every call gets its own answer.
    @Test func twoHundredTasks() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        try await withServer { number, peer in
            var generator = SplitMix(state: seed &+ UInt64(number))
            try peer.hello(maxInFlight: 16)
            var held: [Peer.Request] = []
            var answered = 0
            while let request = try peer.nextUnlessClosed() {
                held.append(request)
                guard held.count <= 16 else { throw FakeError.unexpected("\(held.count) requests in flight") }
                if peer.hasMore(within: 0), held.count < 16 { continue }
                for request in held.shuffled(using: &generator) {
                    try peer.reply(to: request, pong(try request.decode(Ping.self).token))
                    answered += 1
                }
                held.removeAll()
                if number < 3, answered > 150 { return }
            }
        } test: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<200 as Range<UInt64> {
                    group.addTask {
                        for round in 0..<5 as Range<UInt64> {
                            let token = task << 8 | round
                            expectSame(try await client.ping(token).token, token)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.connections == 4)
        }
    }
}

/// A small generator whose runs can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
