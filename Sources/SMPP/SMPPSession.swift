/// One SMPP connection, from its bind to its end: bytes and time in, bytes and events out. It knows no socket, no clock and no message
/// but by the number that its owner gave it.
///
/// The owner writes `output` to the peer and says how much of it went (`wrote`); it reads and calls `receive`; it calls `tick` at
/// `deadline`. Time is in ms of any clock that never goes back.
package struct SMPPSession: Sendable {
    package enum Event: Equatable, Sendable {
        case bound(systemID: [UInt8])
        /// The end of a submit. After `ambiguous` an answer may still come, late.
        case answered(UInt64, Answer)
        case receipt(DeliveryReceipt)
        /// The last event: the owner closes the connection.
        case ended(End)
    }

    package enum Answer: Equatable, Sendable {
        case accepted(id: [UInt8])
        case refused(CommandStatus, CommandStatus.Meaning)
        /// It was written whole, and no answer came: the peer may have it.
        case ambiguous
        /// The peer can't have it: a part of it, at least, never left.
        case notSent
    }

    package enum End: Equatable, Sendable {
        case bindRefused(CommandStatus)
        case bindTimedOut
        /// Nothing came, not even to enquire_link.
        case silent
        case badProtocol(PDUError)
        /// It sends and doesn't read.
        case unread
        case unboundByPeer
        /// After `drain`.
        case drained
        /// The connection broke.
        case lost
    }

    private enum Phase: Equatable { case binding, bound, unbinding, over }

    private struct Flight {
        var handle: UInt64
        var sentAtMs: UInt64
        /// Bytes of this connection up to the submit's end.
        var endsAt: UInt64
    }

    /// Unread output beyond which the peer is given up: answers to a flood of its requests.
    static let maxOutput = 256 << 10
    /// Late answers that are still recognised.
    static let maxOverdue = 1_000

    /// What the peer must get next.
    package private(set) var output: [UInt8] = []
    private let settings: SessionSettings
    private let mode: SessionSettings.Mode
    private var stream = PDUStream()
    private var phase = Phase.binding
    private var isDraining = false
    private var sequence: UInt32 = 0
    private var flights: [UInt32: Flight] = [:]
    private var overdue: [UInt32: UInt64] = [:]
    private var overdueOrder: [UInt32] = []
    private var bytesQueued: UInt64 = 0
    private var bytesWritten: UInt64 = 0
    /// When the phase began.
    private var phaseSinceMs: UInt64
    private var receivedAtMs: UInt64
    private var enquiredAtMs: UInt64?
    private var throttle: Throttle

    /// A connection that has just been made; the bind is in `output`.
    package init(
        _ settings: SessionSettings, mode: SessionSettings.Mode = .transceiver, nowMs: UInt64
    ) throws(PDUError) {
        self.settings = settings
        self.mode = mode
        throttle = Throttle(firstMs: settings.throttleMs, longestMs: settings.longestThrottleMs)
        phaseSinceMs = nowMs
        receivedAtMs = nowMs
        let command: Command =
            switch mode {
            case .transceiver: .bindTransceiver
            case .transmitter: .bindTransmitter
            case .receiver: .bindReceiver
            }
        try queue(PDU(command, sequence: nextSequence(), body: .bind(settings.bind)))
    }

    package var isBound: Bool { phase == .bound }

    /// Submits that may leave now.
    package func room(nowMs: UInt64) -> Int {
        max(0, window(nowMs: nowMs) - flights.count)
    }

    /// Submits that may be without an answer now: none while the peer wants a pause.
    package func window(nowMs: UInt64) -> Int {
        guard phase == .bound, !isDraining, mode != .receiver else { return 0 }
        return throttle.window(settings.window, nowMs: nowMs)
    }

    /// Sends a message; `handle` comes back in its answer. There must be room.
    package mutating func submit(_ message: ShortMessage, handle: UInt64, nowMs: UInt64) throws(PDUError) {
        precondition(room(nowMs: nowMs) > 0, "a submit beyond the window")
        let number = nextSequence()
        try queue(PDU(.submitSM, sequence: number, body: .message(message)))
        flights[number] = Flight(handle: handle, sentAtMs: nowMs, endsAt: bytesQueued)
    }

    /// So many bytes of `output` are with the kernel.
    package mutating func wrote(_ count: Int) {
        output.removeFirst(count)
        bytesWritten += UInt64(count)
    }

    /// No more submits; unbinds when the last is answered.
    package mutating func drain(nowMs: UInt64) -> [Event] {
        isDraining = true
        if phase == .binding { return end(.drained) }
        unbindIfDrained(nowMs)
        return []
    }

    /// The connection is gone.
    package mutating func lost() -> [Event] { end(.lost) }

    package mutating func receive(_ bytes: some Collection<UInt8>, nowMs: UInt64) -> [Event] {
        guard phase != .over else { return [] }
        receivedAtMs = nowMs
        enquiredAtMs = nil
        stream.append(bytes)
        var events: [Event] = []
        while phase != .over {
            do throws(PDUError) {
                guard let pdu = try stream.next() else { break }
                events += try handle(pdu, nowMs)
            } catch { events += handle(error, nowMs) }
            if output.count > SMPPSession.maxOutput { events += end(.unread) }
        }
        unbindIfDrained(nowMs)
        return events
    }

    /// Looks at the timers.
    package mutating func tick(nowMs: UInt64) -> [Event] {
        switch phase {
        case .binding: return nowMs >= phaseSinceMs + settings.bindMs ? end(.bindTimedOut) : []
        case .unbinding: return nowMs >= phaseSinceMs + settings.responseMs ? end(.drained) : []
        case .over: return []
        case .bound: break
        }
        if let enquiredAtMs, nowMs >= enquiredAtMs + settings.responseMs { return end(.silent) }
        if enquiredAtMs == nil, nowMs >= receivedAtMs + settings.enquireLinkMs {
            enquiredAtMs = nowMs
            answer(PDU(.enquireLink, sequence: nextSequence()))
        }
        var events: [Event] = []
        let late = flights.filter { nowMs >= $0.value.sentAtMs + settings.responseMs }
        // One that still lies here would go out later, after its sender was told that it was lost.
        if late.contains(where: { $0.value.endsAt > bytesWritten }) { return end(.unread) }
        for (number, flight) in late.sorted(by: { $0.value.endsAt < $1.value.endsAt }) {
            flights[number] = nil
            remember(number, flight.handle)
            events.append(.answered(flight.handle, .ambiguous))
        }
        unbindIfDrained(nowMs)
        return events
    }

    /// When `tick` has something to do next, or a pause for the peer's sake ends; `nil` = never.
    package func deadline(nowMs: UInt64) -> UInt64? {
        switch phase {
        case .binding: return phaseSinceMs + settings.bindMs
        case .unbinding: return phaseSinceMs + settings.responseMs
        case .over: return nil
        case .bound: break
        }
        let link = enquiredAtMs.map { $0 + settings.responseMs } ?? receivedAtMs + settings.enquireLinkMs
        let answers = flights.values.lazy.map { $0.sentAtMs + settings.responseMs }.min() ?? link
        return min(link, answers, throttle.pausedUntilMs > nowMs ? throttle.pausedUntilMs : link)
    }

    /// A late answer is recognised; of the newest so many.
    private mutating func remember(_ number: UInt32, _ handle: UInt64) {
        overdue[number] = handle
        overdueOrder.append(number)
        guard overdueOrder.count > 2 * SMPPSession.maxOverdue else { return }
        for old in overdueOrder.prefix(SMPPSession.maxOverdue) { overdue[old] = nil }
        overdueOrder.removeFirst(SMPPSession.maxOverdue)
    }

    // MARK: what the peer says

    private mutating func handle(_ pdu: PDU, _ nowMs: UInt64) throws(PDUError) -> [Event] {
        switch (pdu.command, pdu.body) {
        case (.bindTransceiverResponse, _), (.bindTransmitterResponse, _), (.bindReceiverResponse, _):
            guard phase == .binding else { return [] }
            guard pdu.status == .ok, case .bindResponse(let systemID, _) = pdu.body else {
                return end(.bindRefused(pdu.status))
            }
            phase = .bound
            return [.bound(systemID: systemID)]
        case (.submitSMResponse, .messageResponse(let id, _)) where pdu.status == .ok:
            return settle(pdu.sequence, .accepted(id: id), nowMs)
        case (.submitSMResponse, _), (.genericNack, _):
            if phase == .binding { return end(.bindRefused(pdu.status)) }
            let status = pdu.status == .ok ? CommandStatus.invalidCommandID : pdu.status
            return settle(
                pdu.sequence, .refused(status, status.meaning(vendor: settings.vendorStatuses)), nowMs)
        case (.deliverSM, .message(let message)):
            // Answered whatever it is: an SMSC repeats what isn't, and holds back what comes after it.
            answer(
                PDU(.deliverSMResponse, sequence: pdu.sequence, body: .messageResponse(id: [], optional: [])))
            return DeliveryReceipt(message).map { [.receipt($0)] } ?? []
        case (.enquireLink, _):
            answer(PDU(.enquireLinkResponse, sequence: pdu.sequence))
            return []
        case (.unbind, _):
            answer(PDU(.unbindResponse, sequence: pdu.sequence))
            return end(.unboundByPeer)
        case (.unbindResponse, _): return phase == .unbinding ? end(.drained) : []
        case (.enquireLinkResponse, _), (.deliverSMResponse, _): return []
        case (.bindReceiver, _), (.bindTransmitter, _), (.bindTransceiver, _), (.submitSM, _),
            (.deliverSM, _):
            // We are a client: nobody binds to us, and nobody sends through us.
            answer(PDU(.genericNack, status: .invalidCommandID, sequence: pdu.sequence))
            return []
        }
    }

    /// A PDU that can't be read.
    private mutating func handle(_ error: PDUError, _ nowMs: UInt64) -> [Event] {
        switch error {
        case .badLength, .fieldTooLong: return end(.badProtocol(error))
        case .unknownCommand(let command, let sequence):
            if command & Command.responseBit == 0 {
                answer(PDU(.genericNack, status: .invalidCommandID, sequence: sequence))
            }
        case .badBody(.submitSMResponse, let status, let sequence) where status != .ok:
            return settle(sequence, .refused(status, status.meaning(vendor: settings.vendorStatuses)), nowMs)
        case .badBody(.submitSMResponse, _, let sequence):
            if let flight = flights.removeValue(forKey: sequence) {
                return [.answered(flight.handle, .ambiguous)]
            }
        case .badBody(.deliverSM, _, let sequence):
            // Its own response, with a refusal: a generic_nack would bring it again.
            answer(
                PDU(
                    .deliverSMResponse, status: .receiverPermanentError, sequence: sequence,
                    body: .messageResponse(id: [], optional: [])))
        case .badBody(let command, let status, let sequence):
            if phase == .binding, command.isResponse, status != .ok { return end(.bindRefused(status)) }
            if phase == .binding { return end(.badProtocol(error)) }
            if !command.isResponse {
                answer(PDU(.genericNack, status: .invalidMessageLength, sequence: sequence))
            }
        }
        return []
    }

    private mutating func settle(_ number: UInt32, _ answer: Answer, _ nowMs: UInt64) -> [Event] {
        let handle: UInt64
        if let flight = flights.removeValue(forKey: number) {
            handle = flight.handle
            switch answer {
            case .accepted: throttle.accepted(sentAtMs: flight.sentAtMs)
            case .refused(_, .throttle): throttle.refused(sentAtMs: flight.sentAtMs, nowMs: nowMs)
            case .refused, .ambiguous, .notSent: break
            }
        } else if let late = overdue.removeValue(forKey: number) {
            handle = late
        } else {
            return []
        }
        return [.answered(handle, answer)]
    }

    private mutating func unbindIfDrained(_ nowMs: UInt64) {
        guard isDraining, phase == .bound, flights.isEmpty else { return }
        phase = .unbinding
        phaseSinceMs = nowMs
        answer(PDU(.unbind, sequence: nextSequence()))
    }

    private mutating func end(_ why: End) -> [Event] {
        guard phase != .over else { return [] }
        phase = .over
        let open = flights.values.sorted { $0.endsAt < $1.endsAt }
        flights = [:]
        return open.map { .answered($0.handle, $0.endsAt <= bytesWritten ? .ambiguous : .notSent) } + [
            .ended(why)
        ]
    }

    private mutating func nextSequence() -> UInt32 {
        sequence = sequence == 0x7FFF_FFFF ? 1 : sequence + 1
        return sequence
    }

    /// For PDUs whose fields always fit.
    private mutating func answer(_ pdu: PDU) {
        do throws(PDUError) { try queue(pdu) } catch {
            preconditionFailure("a PDU without fields doesn't fit: \(error)")
        }
    }

    private mutating func queue(_ pdu: PDU) throws(PDUError) {
        let bytes = try pdu.encoded()
        output += bytes
        bytesQueued += UInt64(bytes.count)
    }
}
