import Wire

/// The protocol's client side as a value: calls, bytes and time-outs in, actions out. It knows no socket and
/// no clock.
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

    private var state = State.open
    private var input: [UInt8] = []
    /// Opcodes of the requests without a reply, by correlation id.
    private var inFlight: [UInt32: Opcode] = [:]
    /// Frames of calls for which there is no place yet.
    private var waiting = WaitingLine<(opcode: Opcode, bytes: [UInt8])>()

    /// The server's bound on requests without a reply; Hello's reply brings it.
    var maxInFlight = 1

    /// Calls that have no answer yet, sent or not.
    var unanswered: Int { inFlight.count + waiting.count }

    // MARK: the caller's side

    /// A call: sent at once, or when there is a place, or refused.
    mutating func submit<M: RequestMessage>(_ message: M, correlation: UInt32) -> [Action] {
        switch state {
        case .open: break
        case .draining: return [.fail(correlation, .closed)]
        case .ended(let why): return [.fail(correlation, .notConnected("\(why)"))]
        }
        switch ClientStateMachine.encode(message, correlation: correlation) {
        case .failure(let error):
            return [.fail(correlation, .invalidRequest(FieldChecker.mistake(in: message) ?? "\(error)"))]
        case .success(let bytes):
            guard inFlight.count >= maxInFlight else {
                inFlight[correlation] = M.opcode
                return [.write(bytes)]
            }
            guard waiting.count < ClientStateMachine.maxWaiting else {
                return [
                    .fail(
                        correlation,
                        .notConnected("\(ClientStateMachine.maxWaiting) calls are waiting already"))
                ]
            }
            waiting.append(correlation, (M.opcode, bytes))
            return []
        }
    }

    /// Its time is up. A reply that comes later finds no call.
    mutating func expire(_ correlation: UInt32) -> [Action] {
        if waiting.remove(correlation) {
            return [.fail(correlation, .notConnected("no place in flight in time"))] + closeIfDrained()
        }
        guard inFlight.removeValue(forKey: correlation) != nil else { return [] }
        return [.fail(correlation, .unknownOutcome("no reply in time"))] + next()
    }

    /// Its caller has gone: no answer is wanted, and its place is free.
    mutating func giveUp(_ correlation: UInt32) -> [Action] {
        if waiting.remove(correlation) { return closeIfDrained() }
        guard inFlight.removeValue(forKey: correlation) != nil else { return [] }
        return next()
    }

    /// No new calls; closes when the last one is answered.
    mutating func drain() -> [Action] {
        guard case .open = state else { return [] }
        state = .draining
        return closeIfDrained()
    }

    // MARK: the connection's side

    /// Takes bytes as they come, whole frames or not.
    mutating func receive(_ bytes: some Collection<UInt8>) -> [Action] {
        if case .ended = state { return [] }
        input += bytes
        var actions: [Action] = []
        var consumed = 0
        do throws(WireError) {
            while let (frame, count) = try takeFrame(at: consumed) {
                consumed += count
                let isLast = try handle(frame, &actions)
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
        for correlation in inFlight.keys.sorted() {
            actions.append(.fail(correlation, ClientStateMachine.failure(of: inFlight[correlation], why)))
        }
        for correlation in waiting.numbers { actions.append(.fail(correlation, .notConnected("\(why)"))) }
        inFlight.removeAll()
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
    private mutating func handle(_ frame: TakenFrame, _ actions: inout [Action]) throws(WireError) -> Bool {
        if frame.flags == .reply { return try handleReply(frame, &actions) }
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
            .leaseMessages, .reportMessage, .reportReceipt, .reportRoute, .subscribe, .acknowledge, .stats, .drain, .showRoute,
            .drainRoute:
            end(.protocolViolation("a push of opcode \(frame.opcode)"), &actions)
            return true
        }
        return false
    }

    private mutating func handleReply(_ frame: TakenFrame, _ actions: inout [Action]) throws(WireError)
        -> Bool
    {
        guard let opcode = inFlight[frame.correlation] else { return false }  // Expired or given up.
        guard opcode.rawValue == frame.opcode else {
            end(.protocolViolation("a reply of opcode \(frame.opcode) to \(opcode)"), &actions)
            return true
        }
        inFlight[frame.correlation] = nil
        if opcode == .subscribe, frame.body.starts(with: [0, 0]) {
            actions.append(
                .push(.subscribed(try ClientStateMachine.body(Subscribe.Reply.self, frame.body[2...]))))
        }
        actions.append(.succeed(frame.correlation, body: frame.body))
        actions += next()
        return false
    }

    private mutating func end(_ why: ClientError, _ actions: inout [Action]) {
        state = .ended(why)
        actions.append(.close)
    }

    /// A place is free: the call that has waited longest takes it.
    private mutating func next() -> [Action] {
        if inFlight.count < maxInFlight, let (correlation, frame) = waiting.popFirst() {
            inFlight[correlation] = frame.opcode
            return [.write(frame.bytes)]
        }
        return closeIfDrained()
    }

    private mutating func closeIfDrained() -> [Action] {
        guard case .draining = state, unanswered == 0 else { return [] }
        state = .ended(.closed)
        return [.close]
    }

    /// What the end of a connection means for a request that was sent.
    private static func failure(of opcode: Opcode?, _ why: ClientError) -> ClientError {
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

// MARK: bytes

extension ClientStateMachine {
    /// The bytes of a request.
    static func encode<M: RequestMessage>(_ message: M, correlation: UInt32) -> Result<[UInt8], WireError> {
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count: Result<Int, WireError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(WireError) in
                try FieldEncoder.request(message, correlation: correlation, into: buffer)
            }
        }
        return count.map { Array(bytes.prefix($0)) }
    }

    private static func body<M: Message>(_ type: M.Type, _ bytes: ArraySlice<UInt8>) throws(WireError) -> M {
        try reading(bytes) { raw throws(WireError) in try FieldDecoder.decode(M.self, from: raw) }
    }

    /// The typed reply, or the refusal.
    static func decode<Reply: Message>(_ type: Reply.Type, _ body: [UInt8]) -> Result<Reply, ClientError> {
        do throws(WireError) {
            guard body.count >= 2 else { throw .truncatedBody }
            if body.starts(with: [0, 0]) { return .success(try self.body(Reply.self, body[2...])) }
            return .failure(.refused(try self.body(Refusal.self, body[...])))
        } catch { return .failure(.protocolViolation("\(error)")) }
    }
}

/// `withUnsafeBytes` that keeps the type of the error.
private func reading<R>(
    _ bytes: ArraySlice<UInt8>, _ body: (UnsafeRawBufferPointer) throws(WireError) -> R
) throws(WireError) -> R {
    let result: Result<R, WireError> = bytes.withUnsafeBytes { raw in
        Result { () throws(WireError) in try body(raw) }
    }
    return try result.get()
}
