import Testing
import Wire

@testable import AuthClient

/// Lost connections and unknown outcomes: the same request again, never another.
@Suite struct RetryTests {
    enum Operation: CaseIterable, Sendable {
        case requestCode, resend, verify, cancel, redeemGrant
        case status, quota, checkGrant

        var isWrite: Bool {
            switch self {
            case .requestCode, .resend, .verify, .cancel, .redeemGrant: true
            case .status, .quota, .checkGrant: false
            }
        }

        func run(_ client: AuthClient) async throws {
            switch self {
            case .requestCode: _ = try await client.requestCode(loginRequest())
            case .resend: _ = try await client.resend(Resend())
            case .verify: _ = try await client.verify(Verify())
            case .cancel: try await client.cancel(Cancel())
            case .redeemGrant: _ = try await client.redeemGrant(RedeemGrant())
            case .status: _ = try await client.status(StatusRequest())
            case .quota: _ = try await client.quota(Quota())
            case .checkGrant: _ = try await client.checkGrant(CheckGrant())
            }
        }

        func answer(_ request: Peer.Request, _ peer: Peer) throws {
            switch self {
            case .requestCode, .resend: try peer.reply(to: request, challengeReply())
            case .verify: try peer.reply(to: request, Verify.Reply())
            case .cancel: try peer.reply(to: request, Empty())
            case .redeemGrant, .checkGrant: try peer.reply(to: request, GrantReply())
            case .status: try peer.reply(to: request, StatusRequest.Reply())
            case .quota: try peer.reply(to: request, Quota.Reply())
            }
        }
    }

    /// The bodies are equal byte for byte; a write's begins with an id that isn't zero and differs from call
    /// to call.
    private func expectSame(_ bodies: [[UInt8]], _ operation: Operation) {
        #expect(Set(bodies).count == 1)
        if operation.isWrite { #expect(bodies.first?.prefix(16).contains { $0 != 0 } == true) }
    }

    @Test(arguments: Operation.allCases) func cutInFlight(operation: Operation) async throws {
        let seen = Seen<[UInt8]>()
        try await withServer { number, peer in
            try peer.hello()
            let request = try peer.next()
            seen.add(request.body)
            guard number == 3 else { return }
            try operation.answer(request, peer)
            try peer.expectClose()
        } test: { client, server in
            try await operation.run(client)
            #expect(server.connections == 4)
        }
        #expect(seen.all.count == 4)
        expectSame(seen.all, operation)
    }

    @Test(arguments: Operation.allCases) func unknownStatus(operation: Operation) async throws {
        let seen = Seen<[UInt8]>()
        try await withServer { number, peer in
            try peer.hello()
            for round in 0..<4 {
                let request = try peer.next()
                seen.add(request.body)
                if round < 3 {
                    try peer.refuse(request, Refusal(.unknown))
                } else {
                    try operation.answer(request, peer)
                }
            }
            try peer.expectClose()
        } test: { client, server in
            try await operation.run(client)
            #expect(server.connections == 1)
        }
        expectSame(seen.all, operation)
    }

    @Test(arguments: Operation.allCases) func threeRetriesAndNoMore(operation: Operation) async throws {
        let seen = Seen<[UInt8]>()
        try await withServer(options: quickOptions(retries: 50)) { _, peer in
            try peer.hello()
            seen.add(try peer.next().body)
        } test: { client, _ in
            let error = await failure { try await operation.run(client) } as? ClientError
            #expect(error == .unknownOutcome("the connection was lost"))
        }
        #expect(seen.all.count == 4)
        expectSame(seen.all, operation)
    }

    @Test func twoCallsHaveTwoIds() async throws {
        let seen = Seen<Bytes16>()
        try await withServer { _, peer in
            try peer.hello()
            for _ in 0..<2 {
                let request = try peer.next()
                seen.add(try request.decode(RequestCode.self).requestID)
                try peer.reply(to: request, challengeReply())
            }
            try peer.expectClose()
        } test: { client, _ in
            _ = try await client.requestCode(loginRequest())
            _ = try await client.requestCode(loginRequest())
        }
        #expect(Set(seen.all).count == 2)
    }

    @Test func callersOwnIdIsKept() async throws {
        let id = Bytes16(timeMs: 1_700_000_000_123, tailHigh: 4, tailLow: 5)
        let seen = Seen<Bytes16>()
        try await withServer { _, peer in
            try peer.hello()
            let request = try peer.next()
            seen.add(try request.decode(Verify.self).requestID)
            try peer.reply(to: request, Verify.Reply())
            try peer.expectClose()
        } test: { client, _ in
            var message = Verify()
            message.requestID = id
            _ = try await client.verify(message)
        }
        #expect(seen.all == [id])
    }

    /// Ten calls in flight when the connection is cut: each comes out right, with its own bytes.
    @Test func allInFlightAreSentAgain() async throws {
        let seen = Seen<[UInt8]>()
        try await withServer { number, peer in
            try peer.hello()
            let requests = try (0..<10).map { _ in try peer.next() }
            for request in requests { seen.add(request.body) }
            guard number == 1 else { return }
            for request in requests.shuffled() { try peer.reply(to: request, challengeReply()) }
            try peer.expectClose()
        } test: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 { group.addTask { _ = try await client.requestCode(loginRequest()) } }
                try await group.waitForAll()
            }
            #expect(server.connections == 2)
        }
        #expect(Set(seen.all.prefix(10)) == Set(seen.all.suffix(10)))
        #expect(Set(seen.all).count == 10)
    }

    @Test func goodbyesReasonIsInTheError() async throws {
        try await withServer { _, peer in
            try peer.hello()
            _ = try peer.next()
            try peer.push(Goodbye(.storageFailure, "the disk lies"))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.verify(Verify()) } as? ClientError
            #expect(
                error == .unknownOutcome("the server ended the connection: storageFailure: the disk lies"))
            #expect(server.connections == 4)
        }
    }

    @Test func goodbyeForABrokenFrameIsFinal() async throws {
        try await withServer { _, peer in
            try peer.hello()
            _ = try peer.next()
            try peer.push(Goodbye(.badBody, "tags"))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.verify(Verify()) } as? ClientError
            #expect(error == .goodbye(.badBody, "tags"))
            #expect(server.connections == 1)
        }
    }

    /// The first try may have acted: "draining" from the next server doesn't make that untrue.
    @Test func refusalAfterAnUnknownTryStaysUnknown() async throws {
        try await withServer { number, peer in
            try peer.hello()
            let request = try peer.next()
            if number == 0 { return }
            try peer.refuse(request, Refusal(.draining, retryAfterMs: 1_000))
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure { try await client.verify(Verify()) } as? ClientError
            #expect(error == .unknownOutcome("refused: draining, after a try of unknown outcome"))
        }
    }

    @Test func drainIsNeverRepeated() async throws {
        try await withServer { _, peer in
            try peer.hello()
            _ = try peer.next()
        } test: { client, server in
            let error = await failure { try await client.drain() } as? ClientError
            #expect(error == .unknownOutcome("the connection was lost"))
            #expect(server.connections == 1)
        }
    }
}
