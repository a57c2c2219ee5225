public import Wire

/// The operations. Writes get their request id here unless they bring one; bring one (`newRequestID`) to
/// repeat a request yourself after `ClientError.unknownOutcome`.
extension AuthClient {
    /// Round trip and engine time.
    public func ping(_ token: UInt64 = 1) async throws -> Ping.Reply {
        var message = Ping()
        message.token = token
        return try await call(message)
    }

    /// Asks for a code.
    public func requestCode(_ message: RequestCode) async throws -> ChallengeReply { try await call(message) }

    /// One more message of an open challenge.
    public func resend(_ message: Resend) async throws -> ChallengeReply { try await call(message) }

    /// Offers what the shopper typed.
    public func verify(_ message: Verify) async throws -> Verify.Reply { try await call(message) }

    /// Closes an open challenge.
    public func cancel(_ message: Cancel) async throws { _ = try await call(message) }

    /// How a challenge stands.
    public func status(_ message: StatusRequest) async throws -> StatusRequest.Reply {
        try await call(message)
    }

    /// What would refuse a RequestCode now?
    public func quota(_ message: Quota) async throws -> Quota.Reply { try await call(message) }

    /// Whether a grant is good, without spending it.
    public func checkGrant(_ message: CheckGrant) async throws -> GrantReply { try await call(message) }

    /// Spends a grant.
    public func redeemGrant(_ message: RedeemGrant) async throws -> GrantReply { try await call(message) }

    /// Ends an account's blocks: three times a day at most.
    public func unblock(_ message: Unblock) async throws { _ = try await call(message) }

    /// Counters and gauges, `name value` a line.
    public func stats() async throws -> String { try await call(Stats()).lines.text }

    /// One of the gateways that couriers tell of.
    public func showRoute(_ message: ShowRoute) async throws -> ShowRoute.Reply { try await call(message) }

    /// Drains a gateway, or gives it messages again.
    public func drainRoute(_ message: DrainRoute) async throws { _ = try await call(message) }

    /// Asks the server to stop in good order. Never repeated: the next server must not be stopped too.
    public func drain() async throws {
        _ = try await attempting(maxRetries: 0) { connection, end in
            try await self.exchange(Drain(), on: connection, until: end)
        }
    }

    /// Any request: sent again with the same bytes while its outcome is unknown and time is left.
    public func call<M: RequestMessage>(_ message: M) async throws -> M.Reply {
        var message = message
        return try await attempting { connection, end in
            if let write = message as? any IdentifiedRequest, write.requestID == .zero,
                let stamped = write.identified(by: try await self.requestID(on: connection, until: end)) as? M
            {
                message = stamped
            }
            return try await self.exchange(message, on: connection, until: end)
        }
    }

    // MARK: request ids

    /// 6 bytes of engine time, 10 random ones.
    public func newRequestID() async throws -> Bytes16 {
        try await attempting { connection, end in try await self.requestID(on: connection, until: end) }
    }

    private func requestID(on connection: ClientConnection, until end: ContinuousClock.Instant) async throws
        -> Bytes16
    {
        guard var time = engineTime else { throw ClientError.notConnected("no Hello yet") }
        if environment.now() - time.at > EngineTime.maxAge {
            do {
                let reply = try await exchange(Ping(), on: connection, until: end)
                time = EngineTime(ms: reply.engineTimeMs, at: environment.now())
            } catch ClientError.unknownOutcome(let why) {
                // The Ping's outcome; the caller's request wasn't sent.
                throw ClientError.notConnected(why)
            }
            engineTime = time
        }
        var generator = SystemRandomNumberGenerator()
        return Bytes16(
            timeMs: time.ms(at: environment.now()), tailHigh: generator.next(), tailLow: generator.next())
    }
}
