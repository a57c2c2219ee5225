public import Wire

/// Events and messages: flows that outlive connections.
extension AuthClient {
    /// Events from `start` on, each once, in order, over lost connections too. At most `credit` are sent
    /// ahead of `acknowledge`. A new stream ends the former one.
    ///
    /// The server keeps no place for you: store the cursor of the last event that you handled, and begin
    /// there after a restart.
    public func events(
        from start: Subscribe.Start, cursor: Cursor = .zero, credit: UInt16 = 256
    ) async throws -> PushStream<EventPush> {
        let flow = EventFlow(EventPlace(start: start, cursor: cursor, limit: credit))
        flows.begin(flow)
        do {
            try await attempting { connection, end in
                // A connection made for this call has resumed the flow already.
                if !flow.isLive, !flow.isEnded { try await self.subscribe(flow, on: connection, until: end) }
            }
        } catch {
            flow.finish(error as? ClientError)
            throw error
        }
        if let refusal = flow.refusal { throw refusal }
        return flow.asStream
    }

    /// Tells the server that events up to `cursor` are handled: credit for `count` more.
    public func acknowledge(_ cursor: Cursor, count: UInt16) async throws {
        var message = Acknowledge()
        message.cursor = cursor
        message.credit = count
        _ = try await call(message)
        flows.events?.update { $0.unacknowledged = max(0, $0.unacknowledged - Int(count)) }
    }

    /// Messages to deliver, for a courier: `credit` of them at most without a `report`, which brings the
    /// next. A new stream ends the former one.
    public func messages(credit: UInt16) async throws -> PushStream<MessagePush> {
        let flow = MessageFlow(MessagePlace(limit: credit))
        flows.begin(flow)
        do {
            try await attempting { connection, end in
                if !flow.isLive, !flow.isEnded { try await self.lease(flow, on: connection, until: end) }
            }
        } catch {
            flow.finish(error as? ClientError)
            throw error
        }
        if let refusal = flow.refusal { throw refusal }
        return flow.asStream
    }

    /// A courier's word on a leased message. Idempotent: the token names the lease.
    public func report(_ message: ReportMessage) async throws {
        do {
            _ = try await call(message)
        } catch {
            await renewCredit()
            throw error
        }
        await renewCredit()
    }

    /// Whatever became of the report, one message fewer is on this courier's hands.
    private func renewCredit() async {
        guard let flow = flows.messages, flow.update({ $0.reported() }) else { return }
        do {
            let end = environment.now() + options.deadline
            try await ending(flow) {
                try await self.lease(flow, on: try await self.connected(until: end), until: end)
            }
        } catch {
            // The next connection, or the next report, asks again.
            flow.update { $0.credit = 0 }
        }
    }

    /// On a new connection, before anybody else uses it. A refusal ends the flow, not the connection.
    func resumeFlows(on connection: ClientConnection, until end: ContinuousClock.Instant) async throws {
        if let flow = flows.events {
            try await ending(flow) { try await self.subscribe(flow, on: connection, until: end) }
        }
        if let flow = flows.messages {
            try await ending(flow) { try await self.lease(flow, on: connection, until: end) }
        }
    }

    private func ending<E, P>(_ flow: PushFlow<E, P>, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch ClientError.refused(let refusal) where refusal.status?.isRetryable != true {
            flow.finish(.refused(refusal))
        } catch ClientError.refused(let refusal) {
            throw ClientError.notConnected("\(ClientError.refused(refusal))")
        } catch ClientError.unknownOutcome(let why) {
            throw ClientError.notConnected(why)
        }
    }

    private func subscribe(
        _ flow: EventFlow, on connection: ClientConnection, until end: ContinuousClock.Instant
    ) async throws {
        _ = try await exchange(flow.place.request, on: connection, until: end)
        flow.markBegun()
    }

    private func lease(
        _ flow: MessageFlow, on connection: ClientConnection, until end: ContinuousClock.Instant
    ) async throws {
        // Pushes may come right behind the reply.
        flow.setLive(true)
        _ = try await exchange(flow.update { $0.renewed() }, on: connection, until: end)
        flow.markBegun()
    }
}
