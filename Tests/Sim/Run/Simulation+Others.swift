import AuthServer
import Engine
import Wire

/// Couriers, subscribers, strangers; and the mail that comes back to everybody.
extension Simulation {
    // MARK: what comes back

    /// Reads what has arrived at every peer.
    func collect() {
        let arrived = machine.arrivals
        machine.arrivals.removeAll(keepingCapacity: true)
        for (peer, bytes) in arrived where peer.isOpen || !peer.isCut {
            peer.received(bytes)
            if peer.kind == .web, draw.chance(plan.stalledReaders) {
                tally.add("fault replies read late")
                continue
            }
            peer.takeFrames(&digest) { frame in received(frame, peer) }
        }
    }

    private func received(_ frame: Frame, _ peer: Peer) {
        if frame.flags == .push { return pushed(frame, peer) }
        guard let attempt = peer.waiting.removeValue(forKey: frame.correlation) else {
            if peer.kind != .hostile { history.violation("a reply to nothing: opcode \(frame.opcode)") }
            return
        }
        let answer: Answer
        do { answer = try Answer.decode(frame, to: attempt.call.ask) } catch {
            return history.violation("a reply that can't be read: opcode \(frame.opcode), \(error)")
        }
        let now = machine.engineMs
        count(answer)
        if isTracing { trace("answer \(describe(answer)) to \(attempt.call.ask)") }
        replies.received(answer, to: attempt, now: now)
        grants.received(answer, to: attempt, now: now)
        setAlarms(answer, attempt.call)
        switch (attempt.call.ask, answer) {
        case (.report(let report), _): delivery.received(answer, to: report, attempt, now: now)
        case (.lease, .lease(let reply)): peer.credit = Int(reply.credit)
        case (.subscribe(let m), .subscribed(let reply)):
            events.answered(answer, m, of: peer.tenant, sent: attempt.sent, now: now)
            if m.start == Subscribe.Start.now.rawValue {
                peer.stream?.start = reply.head
                peer.stream?.last = reply.head
            }
        case (.subscribe(let m), .refused(let refusal)) where refusal.status == .cursorGone:
            events.answered(answer, m, of: peer.tenant, sent: attempt.sent, now: now)
            peer.stream = nil
            if peer.kind == .recorder { recorded[peer.tenant] = nil }
        case (.ping, .ping(let reply)):
            if reply.engineTimeMs > now || reply.engineTimeMs < attempt.sent {
                history.violation("Ping told another time")
            }
        default: break
        }
    }

    /// When a limit is over the same request comes again; when a code, a gap or a grant ends, it is used.
    private func setAlarms(_ answer: Answer, _ call: Call) {
        // Where limits are pressed, it is their ends that matter.
        if plan.presses {
            guard case .refused(let refusal) = answer, call.who.isPressing,
                refusal.status == .limited || refusal.status == .startAnew
            else { return }
        }
        switch answer {
        case .challenge(let reply):
            guard let challenge = history.challenges[reply.challenge] else { return }
            alarm(at: reply.resendAtMs) { $0.resendAtEdge(challenge) }
            alarm(at: reply.expiresAtMs) { $0.guessAtEdge(challenge) }
            // From a millisecond later on the same request opens another.
            let rules = history.policies[challenge.who.tenant]?.purposes[challenge.who.purpose] ?? SimPurpose()
            alarm(at: rules.lastMoment(reply.expiresAtMs)) { simulation in
                if simulation.draw.chance(500) {
                    simulation.requestAtEdge(challenge.who)
                } else {
                    simulation.resendAtEdge(challenge)
                }
            }
        case .verified(let reply):
            alarm(at: reply.expiresAtMs) { $0.redeemAtEdge(reply.grant) }
            alarm(at: reply.expiresAtMs - 120_000 + 30_000) { $0.sendAgain(call) }
        case .refused(let refusal) where refusal.status == .blocked || refusal.status == .startAnew:
            // Only a new request can pass.
            guard call.who.account >= 0, call.who.phone >= 0, call.ask.isWrite else { return }
            alarm(at: machine.engineMs + UInt64(refusal.retryAfterMs)) { $0.requestAtEdge(call.who) }
        case .refused(let refusal) where refusal.retryAfterMs > 1_000:
            alarm(at: machine.engineMs + UInt64(refusal.retryAfterMs)) { $0.sendAgain(call) }
        default: break
        }
    }

    private func count(_ answer: Answer) {
        tally.add("status \(answer.status.map { "\($0)" } ?? "?")")
        switch answer {
        case .refused(let refusal):
            if refusal.limitCode != 0 { tally.add("limit \(refusal.limit?.name ?? "?")") }
        case .hello, .ping, .challenge, .verified, .grant, .empty, .status, .quota, .lease, .subscribed: break
        }
    }

    private func pushed(_ frame: Frame, _ peer: Peer) {
        do {
            switch Opcode(rawValue: frame.opcode) {
            case .message: took(try FieldDecoder.decode(MessagePush.self, from: frame.body), peer)
            case .event: saw(try FieldDecoder.decode(EventPush.self, from: frame.body), peer)
            case .goodbye:
                let goodbye = try FieldDecoder.decode(Goodbye.self, from: frame.body)
                let reason = Goodbye.Reason(rawValue: goodbye.reason)
                tally.add("goodbye \(reason.map { "\($0)" } ?? "?")")
                // Where bytes come in parts and hours pass, they can be late.
                var isExpected = reason == .shuttingDown || reason == .helloTimeout || reason == .frameTimeout
                if reason == .eventsGone, let stream = peer.stream {
                    isExpected = true
                    events.ended(stream, now: machine.engineMs)
                }
                if peer.kind != .hostile, !isExpected {
                    history.violation("Goodbye to an honest peer: \(goodbye.text.text)")
                }
            default: history.violation("a push of opcode \(frame.opcode)")
            }
        } catch { history.violation("a push that can't be read: opcode \(frame.opcode), \(error)") }
    }

    // MARK: couriers

    private func took(_ push: MessagePush, _ peer: Peer) {
        tally.add("message pushed")
        if isTracing { trace("message \(push.challenge)/\(push.send) lease \(push.attempt)") }
        if push.attempt > 1 { tally.add("message leased again") }
        peer.credit -= 1
        alarm(at: push.leaseUntilMs) { simulation in
            if let courier = simulation.peers.first(where: { $0.kind == .courier && $0.isOpen }) {
                simulation.report(push, on: courier)
            }
        }
        if delivery.pushed(push, now: machine.engineMs) != nil { hands.append((push, peer)) }
        if hands.count > 60 { hands.removeFirst() }
    }

    func courierMoves() {
        for peer in peers where peer.kind == .courier && peer.isOpen {
            if draw.chance(plan.courierDeaths) {
                tally.add("fault courier died in mid-lease")
                peer.cut()
                continue
            }
            if peer.credit < 2, peer.waiting.isEmpty {
                var m = LeaseMessages()
                m.credit = UInt16(draw.between(1, 16))
                m.leaseMs = draw.chance(500) ? 0 : UInt32(draw.between(1_000, 15_000))
                send(Call(.lease(m), Who(tenant: peer.tenant)), on: peer)
            }
            guard !hands.isEmpty, draw.chance(700) else { continue }
            let index = draw.below(hands.count)
            report(hands[index].push, on: peer)
            if draw.chance(500) { hands.remove(at: index) }
        }
    }

    func report(_ push: MessagePush, on peer: Peer) {
        var m = ReportMessage()
        m.challenge = push.challenge
        m.send = push.send
        m.token = push.token
        let outcomes: [ReportMessage.Outcome] = [
            .submitted, .delivered, .transientFailure, .permanentFailure, .undelivered, .notSubmitted,
            .ambiguous,
        ]
        m.outcome = outcomes[draw.weighted([50, 20, 10, 5, 5, 5, 5])].rawValue
        if draw.chance(100) { m.hasOther = 1 }
        if draw.chance(300) {
            m.gateway = InlineBytes("sim")
            m.reference = InlineBytes("\(push.challenge)-\(push.send)-\(push.attempt)")
        }
        if draw.chance(30) {
            tally.add("fault report with a false token")
            m.token.low ^= 1
        }
        if push.leaseUntilMs < machine.engineMs { tally.add("fault late report") }
        send(Call(.report(m), Who(tenant: peer.tenant)), on: peer)
        if draw.chance(100) {
            tally.add("fault duplicate report")
            send(Call(.report(m), Who(tenant: peer.tenant)), on: peer)
        }
        guard !m.reference.isEmpty, draw.chance(400) else { return }
        var receipt = ReportReceipt()
        receipt.gateway = InlineBytes(draw.chance(50) ? "other" : "sim")
        receipt.reference = m.reference
        receipt.outcome = (draw.chance(700) ? ReportMessage.Outcome.delivered : .undelivered).rawValue
        send(Call(.receipt(receipt), Who(tenant: peer.tenant)), on: peer)
    }

    // MARK: subscribers

    private func saw(_ event: EventPush, _ peer: Peer) {
        guard let stream = peer.stream else { return history.violation("an event for nobody") }
        events.pushed(event, to: stream, now: machine.engineMs)
        acknowledgedMs = max(acknowledgedMs, event.engineTimeMs)
        if peer.kind == .recorder {
            recorded[peer.tenant] = event.cursor
            if isTracing { trace("event \(event)") }
            tally.add("event \(EventPush.Kind(rawValue: event.kind)?.name ?? "?")")
        }
    }

    func subscribe(_ peer: Peer, _ start: Subscribe.Start, after cursor: Cursor, credit: Int) {
        var m = Subscribe()
        m.start = start.rawValue
        m.credit = UInt16(credit)
        if start == .afterCursor { m.cursor = cursor }
        let stream = events.begin(start, after: cursor, of: peer.tenant)
        stream.creditLeft = credit
        peer.stream = stream
        send(Call(.subscribe(m), Who(tenant: peer.tenant)), on: peer)
    }

    func observerMoves() {
        for peer in peers where peer.isOpen && (peer.kind == .observer || peer.kind == .recorder) {
            guard let stream = peer.stream else {
                if peer.kind == .recorder {
                    let last = recorded[peer.tenant]
                    subscribe(
                        peer, last == nil ? .oldest : .afterCursor, after: last ?? .zero, credit: 60_000)
                } else if draw.chance(300) {
                    let seen = events.anyCursor(of: peer.tenant, &draw)
                    let start: Subscribe.Start =
                        seen == nil ? .oldest : draw.pick([.now, .oldest, .afterCursor, .afterCursor])
                    subscribe(peer, start, after: seen ?? .zero, credit: draw.between(0, 40))
                }
                continue
            }
            let wanted = peer.kind == .recorder ? 20_000 : 1
            if stream.creditLeft < wanted, peer.waiting.isEmpty,
                draw.chance(peer.kind == .recorder ? 1_000 : 300)
            {
                var m = Acknowledge()
                m.cursor = stream.last
                m.credit = peer.kind == .recorder ? 40_000 : UInt16(draw.between(1, 40))
                stream.creditLeft += Int(m.credit)
                send(Call(.acknowledge(m), Who(tenant: peer.tenant)), on: peer)
            } else if peer.kind == .observer, draw.chance(plan.observerLeaves) {
                peer.cut()
            }
        }
    }

    // MARK: strangers

    func hostileMoves() throws {
        guard draw.chance(plan.hostiles) else { return }
        tally.add("fault hostile peer")
        let peer = try Peer(.hostile, tenant: 1, uid: draw.chance(200) ? 65_534 : 1_001, machine: machine)
        let hello = Ask.hello(Hello()).encode(peer.nextCorrelation())
        switch draw.below(6) {
        case 0: peer.queue((0..<draw.between(1, 300)).map { _ in UInt8(truncatingIfNeeded: draw.word()) })
        case 1: peer.queue(hello + [0, 0, 0x0F, 0xFD])
        case 2: peer.queue(hello + hello)
        case 3: peer.queue(Array(hello.prefix(draw.between(1, hello.count))))
        case 4: peer.queue(hello + [0, 0, 0, 8, 0, 2, 0, 4, 0, 0, 0, 1])
        default: peer.queue(Ask.ping(Ping()).encode(1))
        }
        peers.append(peer)
        if peers.count > 24, let oldest = peers.firstIndex(where: { $0.kind == .hostile }) {
            peers[oldest].cut()
            peers.remove(at: oldest)
        }
    }

    // MARK: connections

    /// Everybody who has lost the server comes back.
    func reconnect() throws {
        peers.removeAll { !$0.isOpen }
        guard machine.server != nil, machine.isAlive else { return }
        let wanted: [(Peer.Kind, UInt32, UInt32, Int)] = [
            (.web, 1, 1_001, 2), (.web, 2, 1_002, 2), (.narrow, 1, 1_003, 1), (.support, 1, 1_004, 1),
            (.support, 2, 1_005, 1), (.courier, 1, 1_001, 2),
            (.observer, 1, 1_001, 1),
            (.observer, 2, 1_002, 1), (.recorder, 1, 1_001, 1), (.recorder, 2, 1_002, 1),
        ]
        for (kind, tenant, uid, count) in wanted {
            let there = peers.count { $0.kind == kind && $0.tenant == tenant }
            for _ in 0..<max(0, count - there) {
                let peer = try Peer(kind, tenant: tenant, uid: uid, machine: machine)
                let correlation = peer.nextCorrelation()
                let call = Call(.hello(Hello()), Who(tenant: tenant))
                peer.waiting[correlation] = Attempt(call: call, sent: machine.engineMs, floor: nil)
                peer.queue(call.ask.encode(correlation))
                peers.append(peer)
            }
        }
    }
}
