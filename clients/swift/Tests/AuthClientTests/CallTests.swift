import Testing
import Wire

@testable import AuthClient

/// Calls on one healthy connection.
@Suite struct CallTests {
    @Test func repliesMayOvertakeOneAnother() async throws {
        try await withServer { _, peer in
            try peer.hello()
            let requests = try (0..<10).map { _ in try peer.next() }
            guard Set(requests.map(\.correlation)).count == 10 else {
                throw FakeError.unexpected("a correlation id twice")
            }
            for request in requests.reversed() {
                try peer.reply(to: request, pong(try request.decode(Ping.self).token))
            }
            try peer.expectClose()
        } test: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for token in 0..<10 as Range<UInt64> {
                    group.addTask { expectSame(try await client.ping(token).token, token) }
                }
                try await group.waitForAll()
            }
            #expect(server.connections == 1)
        }
    }

    @Test func noMoreInFlightThanTheServerAllows() async throws {
        try await withServer { _, peer in
            try peer.hello(maxInFlight: 8)
            let first = try (0..<8).map { _ in try peer.next() }
            guard !peer.hasMore(within: 50) else { throw FakeError.unexpected("a ninth request in flight") }
            for request in first { try peer.reply(to: request, pong(try request.decode(Ping.self).token)) }
            for _ in 8..<20 {
                let request = try peer.next()
                try peer.reply(to: request, pong(try request.decode(Ping.self).token))
            }
            try peer.expectClose()
        } test: { client, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for token in 0..<20 as Range<UInt64> {
                    group.addTask { expectSame(try await client.ping(token).token, token) }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func repliesAreTyped() async throws {
        var verified = Verify.Reply()
        verified.grant = Bytes32(head: Bytes16(high: 9, low: 9), tail: Bytes16(high: 9, low: 9))
        verified.purpose = 1
        verified.expiresAtMs = 1_700_000_120_000
        var status = StatusRequest.Reply()
        status.state = StatusRequest.State.verified.rawValue
        status.delivery = StatusRequest.Delivery.delivered.rawValue
        var quota = Quota.Reply()
        quota.sendsLeftHour = 4
        var grant = GrantReply()
        grant.challenge = Bytes16(high: 7, low: 8)
        var stats = Stats.Reply()
        stats.lines = InlineBytes("connections 1\n")
        let answers = (verified, status, quota, grant, stats)
        try await withServer { _, peer in
            try peer.hello()
            while let request = try peer.nextUnlessClosed() {
                switch request.opcode {
                case .requestCode, .resend: try peer.reply(to: request, challengeReply())
                case .verify: try peer.reply(to: request, answers.0)
                case .status: try peer.reply(to: request, answers.1)
                case .quota: try peer.reply(to: request, answers.2)
                case .checkGrant, .redeemGrant: try peer.reply(to: request, answers.3)
                case .stats: try peer.reply(to: request, answers.4)
                case .cancel, .drain, .reportMessage: try peer.reply(to: request, Empty())
                case _: throw FakeError.unexpected("\(request.opcode)")
                }
            }
        } test: { client, _ in
            expectSame(try await client.requestCode(loginRequest()), challengeReply())
            expectSame(try await client.resend(Resend()), challengeReply())
            expectSame(try await client.verify(Verify()), verified)
            expectSame(try await client.status(StatusRequest()), status)
            expectSame(try await client.quota(Quota()), quota)
            expectSame(try await client.checkGrant(CheckGrant()), grant)
            expectSame(try await client.redeemGrant(RedeemGrant()), grant)
            expectSame(try await client.stats(), "connections 1\n")
            try await client.cancel(Cancel())
            try await client.report(ReportMessage())
            try await client.drain()
        }
    }

    /// A refusal is thrown whole, once: the server sees the request one time.
    @Test(arguments: Status.allCases.filter { $0 != .done && $0 != .unknown })
    func refusalsAreTypedAndNotRepeated(status: Status) async throws {
        let refusal = Refusal(status, limit: .phoneUnverifiedHour, attemptsLeft: 3, retryAfterMs: 1_500)
        try await withServer { _, peer in
            try peer.hello()
            try peer.refuse(try peer.next(), refusal)
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.verify(Verify()) } as? ClientError
            #expect(error == .refused(refusal))
            #expect(server.connections == 1)
        }
    }

    @Test func statusOfALaterServerIsARefusal() async throws {
        var refusal = Refusal(.limited)
        refusal.statusCode = 0x0EEE
        let sent = refusal
        try await withServer { _, peer in
            try peer.hello()
            try peer.refuse(try peer.next(), sent)
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure { try await client.ping() } as? ClientError
            #expect(error == .refused(sent))
            #expect(error?.description == "refused: status 3822")
        }
    }

    @Test func deadlineIsAnErrorAndTheLateReplyIsIgnored() async throws {
        let clock = FakeClock()
        let options = quickOptions(deadline: .seconds(10), retries: 0)
        try await withServer(options: options, environment: clock.environment()) { _, peer in
            try peer.hello()
            let first = try peer.next()
            // The second call begins only after the first has failed.
            let second = try peer.next()
            try peer.reply(to: first, pong(1))
            try peer.reply(to: second, pong(2))
            try peer.expectClose()
        } test: { client, server in
            try await client.connect()
            // Between the call's start and its send all but 10 ms of the deadline pass.
            clock.setStep(.milliseconds(9_990))
            let error = await failure { try await client.ping(1) } as? ClientError
            clock.setStep(.zero)
            #expect(error == .unknownOutcome("no reply in time"))
            expectSame(try await client.ping(2).token, 2)
            #expect(server.connections == 1)
        }
    }

    @Test func replyToNobodyIsIgnored() async throws {
        try await withServer { _, peer in
            try peer.hello()
            let request = try peer.next()
            try peer.send(try replyFrame(pong(99), opcode: Opcode.ping.rawValue, correlation: 0xDEAD_BEEF))
            try peer.reply(to: request, pong(1))
            try peer.reply(to: request, pong(98))
            try peer.reply(to: try peer.next(), pong(2))
            try peer.expectClose()
        } test: { client, _ in
            expectSame(try await client.ping(1).token, 1)
            expectSame(try await client.ping(2).token, 2)
        }
    }

    @Test func replySplitAtEachOffset() async throws {
        let length = try replyFrame(pong(0), opcode: Opcode.ping.rawValue, correlation: 0).count
        try await withServer { _, peer in
            try peer.hello()
            for cut in 0..<length {
                let request = try peer.next()
                let bytes = try replyFrame(
                    pong(UInt64(cut)), opcode: Opcode.ping.rawValue, correlation: request.correlation)
                try peer.send(Array(bytes[..<cut]))
                try peer.send(Array(bytes[cut...]))
            }
            try peer.expectClose()
        } test: { client, _ in
            for cut in 0..<UInt64(length) { expectSame(try await client.ping(cut).token, cut) }
        }
    }

    @Test func requestThatCannotBeSaidIsRefusedHere() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.expectClose()
        } test: { client, _ in
            var message = loginRequest()
            message.account = AccountBytes(String(repeating: "a", count: 129))
            let error = await failure { try await client.requestCode(message) } as? ClientError
            #expect(error == .invalidRequest("account has 129 bytes, and at most 128 are allowed"))
        }
    }

    /// A shopper may type anything: the answer is the server's, whatever the length.
    @Test(arguments: [17, 300, 70_000]) func overlongCodeIsTheShoppersMistake(length: Int) async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.expectClose()
        } test: { client, _ in
            var message = Verify()
            message.code = CodeBytes(String(repeating: "1", count: length))
            let error = await failure { try await client.verify(message) } as? ClientError
            #expect(error == .refused(Refusal(.invalidCode)))
            #expect(error.map(Snippets.page) == "That code didn't work. Try again.")
        }
    }
}
