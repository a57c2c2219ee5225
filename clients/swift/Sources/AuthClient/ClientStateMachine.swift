import Wire

/// The protocol's client side as a value: calls, bytes and time-outs in, actions out. It knows no socket and
/// no clock.
///
/// A request that was written holds its place in flight until its reply or the end of the connection comes,
/// whoever still waits for it: the server will act on it, and what more it can have to act on is bounded by
/// the places. A request that wasn't written never is once its call has ended.
struct ClientStateMachine {
    /// Calls that wait for a place in flight; more are refused at once rather than kept to miss their
    /// deadlines.
    static let maxWaiting = 8_192

    /// What comes unasked, and where in its order the flow of events began.
    enum Push: Sendable {
        case event(EventPush)
        case message(MessagePush)
        /// The reply to Subscribe: pushes before it belong to no subscription of this connection, or to a
        /// former one.
        case subscribed(Subscribe.Reply)
    }

    /// What the connection must do, in order.
    enum Action {
        case write([UInt8])
        /// The call has its reply's body, status first.
        case succeed(UInt32, body: [UInt8])
        case fail(UInt32, ClientError)
        case push(Push)
        /// Nothing more is to be read or written.
        case close
    }

    private enum State {
        case open
        /// No new calls; those taken are finished.
        case draining
        case ended(ClientError)
    }

    /// A request without a reply.
    private struct Place {
        let opcode: Opcode
        /// Its call has ended by its deadline or a cancellation: the reply will be dropped.
        var isAbandoned = false
    }

    /// A call for which there is no place yet.
    private struct Waiter {
        let opcode: Opcode
        let bytes: [UInt8]
        let deadline: UInt64
    }

    private var state = State.open
    private var input: [UInt8] = []
    /// By correlation id.
    private var inFlight: [UInt32: Place] = [:]
    private var abandoned = 0
    private var waiting = WaitingLine<Waiter>()

    /// The server's bound on requests without a reply; Hello's reply brings it.
    var maxInFlight = 1

    /// Calls that have no answer yet, sent or not.
    var unanswered: Int { inFlight.count - abandoned + waiting.count }

    // MARK: the caller's side

    /// A call: sent at once, or when there is a place, or refused. `deadline` and `now` are nanoseconds of one
    /// clock.
    mutating func submit<M: RequestMessage>(
        _ message: M, correlation: UInt32, deadline: UInt64 = .max, now: UInt64 = 0
    ) -> [Action] {
        switch state {
        case .open: break
        case .draining: return [.fail(correlation, .closed)]
        case .ended(let why): return [.fail(correlation, .notConnected("\(why)"))]
        }
        guard deadline > now else { return [.fail(correlation, ClientStateMachine.noPlace)] }
        switch ClientStateMachine.encode(message, correlation: correlation) {
        case .failure(let error):
            return [.fail(correlation, FieldChecker.mistake(in: message) ?? .invalidRequest("\(error)"))]
        case .success(let bytes):
            guard inFlight.count >= maxInFlight else {
                inFlight[correlation] = Place(opcode: M.opcode)
                return [.write(bytes)]
            }
            guard waiting.count < ClientStateMachine.maxWaiting else {
                return [
                    .fail(
                        correlation,
                        .notConnected("\(ClientStateMachine.maxWaiting) calls are waiting already"))
                ]
            }
            waiting.append(correlation, Waiter(opcode: M.opcode, bytes: bytes, deadline: deadline))
            return []
        }
    }

    /// Its time is up. A reply that comes later is dropped.
    mutating func expire(_ correlation: UInt32) -> [Action] {
        if waiting.remove(correlation) {
            return [.fail(correlation, ClientStateMachine.noPlace)] + closeIfDrained()
        }
        guard abandon(correlation) else { return [] }
        return [.fail(correlation, .unknownOutcome("no reply in time"))] + closeIfDrained()
    }

    /// Its caller has gone: no answer is wanted.
    mutating func giveUp(_ correlation: UInt32) -> [Action] {
        if waiting.remove(correlation) { return closeIfDrained() }
        return abandon(correlation) ? closeIfDrained() : []
    }

    /// Whether a call held this place until now.
    private mutating func abandon(_ correlation: UInt32) -> Bool {
        guard inFlight[correlation]?.isAbandoned == false else { return false }
        inFlight[correlation]?.isAbandoned = true
        abandoned += 1
        return true
    }

    private static let noPlace = ClientError.notConnected("no place in flight in time")

    /// No new calls; closes when the last one is answered.
    mutating func drain() -> [Action] {
        guard case .open = state else { return [] }
        state = .draining
        return closeIfDrained()
    }

    // MARK: the connection's side

    /// Takes bytes as they come, whole frames or not. `now` matters because a loop that was held up sees
    /// replies before timers: the places that they free are not for calls whose time is up.
    mutating func receive(_ bytes: some Collection<UInt8>, now: UInt64 = 0) -> [Action] {
        if case .ended = state { return [] }
        input += bytes
        var actions: [Action] = []
        var consumed = 0
        do throws(WireError) {
            while let (frame, count) = try takeFrame(at: consumed) {
                consumed += count
                let isLast = try handle(frame, now, &actions)
                if isLast { break }
            }
        } catch { end(.protocolViolation("\(error)"), &actions) }
        input.removeFirst(consumed)
        return actions
    }

    /// The connection is gone: every call gets its error.
    mutating func disconnected() -> [Action] {
        let why: ClientError
        switch state {
        case .open, .draining: why = .unknownOutcome("the connection was lost")
        case .ended(let reason): why = reason
        }
        state = .ended(why)
        var actions: [Action] = []
        for (correlation, place) in inFlight.sorted(by: { $0.key < $1.key }) where !place.isAbandoned {
            actions.append(.fail(correlation, ClientStateMachine.failure(of: place.opcode, why)))
        }
        for correlation in waiting.numbers { actions.append(.fail(correlation, .notConnected("\(why)"))) }
        inFlight.removeAll()
        abandoned = 0
        waiting.removeAll()
        return actions
    }

    // MARK: inside

    private struct TakenFrame {
        let opcode: UInt16
        let flags: FrameFlags
        let correlation: UInt32
        let body: [UInt8]
    }

    private func takeFrame(at offset: Int) throws(WireError) -> (TakenFrame, Int)? {
        try reading(input[offset...]) { raw throws(WireError) in
            guard let frame = try Frame.next(in: raw) else { return nil }
            let taken = TakenFrame(
                opcode: frame.opcode, flags: frame.flags, correlation: frame.correlation,
                body: Array(frame.body))
            return (taken, frame.totalBytes)
        }
    }

    /// Returns true when nothing after this frame counts.
    private mutating func handle(
        _ frame: TakenFrame, _ now: UInt64, _ actions: inout [Action]
    ) throws(WireError) -> Bool {
        if frame.flags == .reply { return try handleReply(frame, now, &actions) }
        guard frame.flags == .push else {
            end(.protocolViolation("a frame that is neither reply nor push"), &actions)
            return true
        }
        switch Opcode(rawValue: frame.opcode) {
        case .message:
            actions.append(.push(.message(try ClientStateMachine.body(MessagePush.self, frame.body[...]))))
        case .event:
            actions.append(.push(.event(try ClientStateMachine.body(EventPush.self, frame.body[...]))))
        case .goodbye:
            let goodbye = try ClientStateMachine.body(Goodbye.self, frame.body[...])
            end(.goodbye(Goodbye.Reason(rawValue: goodbye.reason), goodbye.text.text), &actions)
            return true
        case .none: break  // Of a later server: skipped, as the protocol says.
        case .hello, .ping, .requestCode, .resend, .verify, .cancel, .status, .quota, .checkGrant,
            .redeemGrant,
            .leaseMessages, .reportMessage, .reportReceipt, .reportRoute, .subscribe, .acknowledge, .unblock, .stats, .drain, .showRoute,
            .drainRoute:
            end(.protocolViolation("a push of opcode \(frame.opcode)"), &actions)
            return true
        }
        return false
    }

    private mutating func handleReply(
        _ frame: TakenFrame, _ now: UInt64, _ actions: inout [Action]
    ) throws(WireError) -> Bool {
        guard let place = inFlight[frame.correlation] else { return false }
        guard place.opcode.rawValue == frame.opcode else {
            end(.protocolViolation("a reply of opcode \(frame.opcode) to \(place.opcode)"), &actions)
            return true
        }
        inFlight[frame.correlation] = nil
        if place.isAbandoned {
            abandoned -= 1
        } else {
            if place.opcode == .subscribe, frame.body.starts(with: [0, 0]) {
                let reply = try ClientStateMachine.body(Subscribe.Reply.self, frame.body[2...])
                actions.append(.push(.subscribed(reply)))
            }
            actions.append(.succeed(frame.correlation, body: frame.body))
        }
        actions += next(now)
        return false
    }

    private mutating func end(_ why: ClientError, _ actions: inout [Action]) {
        state = .ended(why)
        actions.append(.close)
    }

    /// A place is free: of the calls that still have time, the one that has waited longest takes it.
    private mutating func next(_ now: UInt64) -> [Action] {
        var actions: [Action] = []
        while inFlight.count < maxInFlight, let (correlation, waiter) = waiting.popFirst() {
            guard waiter.deadline > now else {
                actions.append(.fail(correlation, ClientStateMachine.noPlace))
                continue
            }
            inFlight[correlation] = Place(opcode: waiter.opcode)
            actions.append(.write(waiter.bytes))
        }
        return actions + closeIfDrained()
    }

    private mutating func closeIfDrained() -> [Action] {
        guard case .draining = state, unanswered == 0 else { return [] }
        state = .ended(.closed)
        return [.close]
    }

    /// What the end of a connection means for a request that was sent.
    private static func failure(of opcode: Opcode, _ why: ClientError) -> ClientError {
        switch why {
        case .protocolViolation, .invalidRequest, .closed, .refused, .notConnected: return why
        case .unknownOutcome(let text): return opcode == .hello ? .notConnected(text) : why
        case .goodbye(let reason, _):
            if opcode == .hello { return why }
            switch reason {
            case .badFrameLength, .badFlags, .badBody, .helloExpected, .helloTwice, .badMagic,
                .unsupportedVersion:
                // The server can't read this client: the same bytes again won't help.
                return why
            case .notPermitted, .helloTimeout, .inputOverflow, .outputOverflow, .tooManyConnections,
                .shuttingDown,
                .storageFailure, .frameTimeout, .eventsGone, .none:
                return .unknownOutcome("\(why)")
            }
        }
    }
}
