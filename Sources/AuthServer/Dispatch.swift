import Engine
import Store
import Wire

/// From a frame to a decision: the opcode's role, the message, the rules, the reply's bytes.
extension Batch {
    /// Returns false when the frame must wait for the sync under way.
    func dispatch(
        _ frame: Frame, _ connection: Connection, _ context: BatchContext, _ state: inout StoreState,
        _ entropy: inout EntropyBlock
    ) throws(WireError) -> Bool {
        guard let authority = connection.authority else {
            try hello(frame, connection, context)
            return true
        }
        guard let opcode = Opcode(rawValue: frame.opcode), !opcode.isPush else {
            refuse(.unsupportedOperation, frame, connection)
            return true
        }
        if let roles = opcode.roles, authority.roles.isDisjoint(with: roles) {
            rates.count(tenant: authority.tenant, status: Status.notPermitted.rawValue, limit: 0, now: context.now)
            refuse(.notPermitted, frame, connection)
            return true
        }
        guard poison?.enter(frame, tenant: authority.tenant) ?? true else {
            refuse(.quarantined, frame, connection)
            return true
        }
        defer { poison?.leave() }
        settings.trap?(frame)
        do throws(WireError) {
            return try dispatch(opcode, frame, connection, authority, context, &state, &entropy)
        } catch .unsupportedField {
            refuse(.unsupportedField, frame, connection)
            return true
        }
    }

    private func dispatch(
        _ opcode: Opcode, _ frame: Frame, _ connection: Connection, _ authority: Authority, _ context: BatchContext,
        _ state: inout StoreState, _ entropy: inout EntropyBlock
    ) throws(WireError) -> Bool {
        let body = frame.body
        let request: Request
        switch opcode {
        case .hello:
            connection.close(Goodbye(.helloTwice, "Hello comes once"))
            return true
        case .ping:
            var reply = Ping.Reply()
            reply.token = try FieldDecoder.decode(Ping.self, from: body).token
            reply.engineTimeMs = context.now
            answer(reply, frame, connection)
            return true
        case .leaseMessages:
            let reply = couriers.credit(try FieldDecoder.decode(LeaseMessages.self, from: body), connection)
            answer(reply, frame, connection)
            return true
        case .subscribe:
            subscribe(try FieldDecoder.decode(Subscribe.self, from: body), frame, connection, authority, context)
            return true
        case .acknowledge:
            let message = try FieldDecoder.decode(Acknowledge.self, from: body)
            if events.acknowledge(message, connection) {
                answer(Empty(), frame, connection)
            } else {
                refuse(.cursorGone, frame, connection)
            }
            return true
        case .stats:
            _ = try FieldDecoder.decode(Stats.self, from: body)
            answer(statistics(), frame, connection)
            return true
        case .reportRoute:
            let message = try FieldDecoder.decode(ReportRoute.self, from: body)
            guard !message.gateway.isEmpty, ReportRoute.Breaker(rawValue: message.breaker) != nil else {
                refuse(.unsupportedField, frame, connection)
                return true
            }
            guard let reply = routes.report(message, connection, now: context.now) else {
                refuse(.overloaded, frame, connection, limit: .serverLoad, retryAfterMs: 5_000)
                return true
            }
            answer(reply, frame, connection)
            return true
        case .showRoute:
            answer(routes.show(try FieldDecoder.decode(ShowRoute.self, from: body).index, now: context.now), frame, connection)
            return true
        case .drainRoute:
            let message = try FieldDecoder.decode(DrainRoute.self, from: body)
            if message.gateway.isEmpty {
                refuse(.unsupportedField, frame, connection)
            } else if routes.drain(message, now: context.now) {
                answer(Empty(), frame, connection)
            } else {
                refuse(.overloaded, frame, connection, limit: .serverLoad, retryAfterMs: 5_000)
            }
            return true
        case .drain:
            _ = try FieldDecoder.decode(Drain.self, from: body)
            answer(Empty(), frame, connection)
            onDrain()
            return true
        case .requestCode: request = .requestCode(try FieldDecoder.decode(RequestCode.self, from: body))
        case .resend: request = .resend(try FieldDecoder.decode(Resend.self, from: body))
        case .verify: request = .verify(try FieldDecoder.decode(Verify.self, from: body))
        case .cancel: request = .cancel(try FieldDecoder.decode(Cancel.self, from: body))
        case .status: request = .status(try FieldDecoder.decode(StatusRequest.self, from: body))
        case .quota: request = .quota(try FieldDecoder.decode(Quota.self, from: body))
        case .checkGrant: request = .checkGrant(try FieldDecoder.decode(CheckGrant.self, from: body))
        case .redeemGrant: request = .redeemGrant(try FieldDecoder.decode(RedeemGrant.self, from: body))
        case .reportMessage: request = .report(try FieldDecoder.decode(ReportMessage.self, from: body))
        case .reportReceipt: request = .receipt(try FieldDecoder.decode(ReportReceipt.self, from: body))
        case .unblock: request = .unblock(try FieldDecoder.decode(Unblock.self, from: body))
        case .goodbye, .message, .event:
            preconditionFailure("pushes were refused above")
        }
        return decide(request, frame, connection, authority, context, &state, &entropy)
    }

    /// The rules' part. Writes, whatever their verdict, leave at the sync: time tells nothing.
    private func decide(
        _ request: Request, _ frame: Frame, _ connection: Connection, _ authority: Authority, _ context: BatchContext,
        _ state: inout StoreState, _ entropy: inout EntropyBlock
    ) -> Bool {
        let isWrite = request.isWrite
        if isWrite {
            if !store.takesWrites { return false }
            if !store.canAccept, waitsForRoom(connection, context.now) { return false }
            if isDraining {
                refuse(.draining, frame, connection, retryAfterMs: 1_000)
                return true
            }
            let hasRoom = store.canAccept && (!request.isSend || (store.canAcceptSends && couriers.canAccept(authority.tenant)))
            guard hasRoom else {
                counters.overloaded += 1
                refuse(.overloaded, frame, connection, limit: .serverLoad, retryAfterMs: 200)
                return true
            }
        }
        let caller = Caller(tenant: authority.tenant, uid: authority.uid)
        let firstEvent = engine.events.count
        let reply = decideWithinRate(request, caller, context, isWrite ? entropy.next() : .none, &state)
        counters.count(reply, engine.events[firstEvent...])
        let isHeld = (isWrite && (!store.batchIsEmpty || store.isCommitting)) || state.highestRead > store.syncedSequence
        let (opcode, correlation) = (frame.opcode, frame.correlation)
        connection.send(isHeld: isHeld, answering: (opcode, correlation)) { buffer in
            switch reply {
            case .challenge(let m): return try FieldEncoder.reply(m, to: opcode, correlation: correlation, into: buffer)
            case .verified(var m):
                m.issuer = settings.issuerBytes
                return try FieldEncoder.reply(m, to: opcode, correlation: correlation, into: buffer)
            case .status(let m): return try FieldEncoder.reply(m, to: opcode, correlation: correlation, into: buffer)
            case .quota(let m): return try FieldEncoder.reply(m, to: opcode, correlation: correlation, into: buffer)
            case .grant(var m):
                m.issuer = settings.issuerBytes
                return try FieldEncoder.reply(m, to: opcode, correlation: correlation, into: buffer)
            case .empty: return try FieldEncoder.reply(Empty(), to: opcode, correlation: correlation, into: buffer)
            case .refused(let m): return try FieldEncoder.refusal(m, to: opcode, correlation: correlation, into: buffer)
            }
        }
        return true
    }

    private func answer<M: Message>(_ message: M, _ frame: Frame, _ connection: Connection) {
        connection.send(isHeld: false, answering: (frame.opcode, frame.correlation)) {
            try FieldEncoder.reply(message, to: frame.opcode, correlation: frame.correlation, into: $0)
        }
    }

    private func refuse(
        _ status: Status, _ frame: Frame, _ connection: Connection, limit: Limit = .none, retryAfterMs: UInt64 = 0
    ) {
        let refusal = Refusal(status, limit: limit, retryAfterMs: retryAfterMs)
        connection.send(isHeld: false) {
            try FieldEncoder.refusal(refusal, to: frame.opcode, correlation: frame.correlation, into: $0)
        }
    }

    private func subscribe(
        _ message: Subscribe, _ frame: Frame, _ connection: Connection, _ authority: Authority, _ context: BatchContext
    ) {
        if let refusal = events.subscribe(message, connection, authority, store, now: context.now) {
            return refuse(refusal, frame, connection)
        }
        var reply = Subscribe.Reply()
        reply.head = events.head
        answer(reply, frame, connection)
    }

    // MARK: Hello

    private func hello(_ frame: Frame, _ connection: Connection, _ context: BatchContext) throws(WireError) {
        guard frame.opcode == Opcode.hello.rawValue else {
            return connection.close(Goodbye(.helloExpected, "the first frame must be Hello"))
        }
        let hello = try FieldDecoder.decode(Hello.self, from: frame.body)
        guard hello.magic == Hello.magic else {
            return connection.close(Goodbye(.badMagic, "this is otpd; the magic number of Hello is wrong"))
        }
        guard hello.minVersion <= Hello.version, hello.maxVersion >= Hello.version else {
            return connection.close(
                Goodbye(.unsupportedVersion, "this server speaks version \(Hello.version) only"))
        }
        guard
            let authority = Authority.decide(
                hello, uid: connection.uid, listener: connection.listener, peers: settings.peers)
        else {
            rates.count(tenant: 0, status: Status.notPermitted.rawValue, limit: 0, now: context.now)
            refusedPeers.note(uid: connection.uid, listener: connection.listener.path, now: context.now)
            return connection.close(
                Goodbye(.notPermitted, "uid \(connection.uid) has no such tenant or role at this listener"))
        }
        connection.authority = authority
        welcome(connection)
        var reply = Hello.Reply()
        reply.version = Hello.version
        reply.tenant = authority.tenant
        reply.roles = authority.roles.rawValue
        reply.engineTimeMs = context.now
        reply.epoch = context.epoch
        reply.maxFrameBytes = UInt32(FrameLimits.maxFrameBytes)
        reply.maxInFlight = UInt16(Bounds.maxInFlight)
        reply.requestAgeSeconds = UInt16(RuleBounds.maxRequestAgeMs / 1_000)
        reply.issuer = settings.issuerBytes
        reply.server = InlineBytes(settings.version.utf8.prefix(64))
        answer(reply, frame, connection)
    }
}

extension Opcode {
    /// A request of it changes nothing, as `Request.isWrite` says below: it needn't wait for the round of those who write.
    var readsOnly: Bool {
        switch self {
        case .ping, .status, .quota, .checkGrant: true
        case .hello, .goodbye, .requestCode, .resend, .verify, .cancel, .redeemGrant, .unblock, .leaseMessages, .message, .reportMessage, .reportReceipt,
            .reportRoute, .subscribe, .event, .acknowledge, .stats, .drain, .showRoute, .drainRoute:
            false
        }
    }
}

extension Request {
    /// Changes state: waits for the sync, and for room in the journal.
    var isWrite: Bool {
        switch self {
        case .requestCode, .resend, .verify, .cancel, .redeemGrant, .report, .receipt, .unblock: true
        case .status, .quota, .checkGrant: false
        }
    }

    /// A lookup that somebody may try things with: a grant, a challenge's state.
    var isLookOfATry: Bool {
        switch self {
        case .status, .checkGrant: true
        case .requestCode, .resend, .verify, .cancel, .redeemGrant, .report, .receipt, .unblock, .quota: false
        }
    }

    /// Ends in a message: stops below the free-space floor, while verifies go on.
    var isSend: Bool {
        switch self {
        case .requestCode, .resend: true
        case .verify, .cancel, .redeemGrant, .report, .receipt, .unblock, .status, .quota, .checkGrant: false
        }
    }
}
