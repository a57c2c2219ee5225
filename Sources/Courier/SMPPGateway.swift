import SMPP
package import Wire

/// Sends through one SMPP 3.4 route and reports what its SMSC says of each message.
package struct SMPPGateway: Gateway {
    private let route: SMPPRoute
    private var desk: SMPPDesk
    /// The first one submits.
    private var connections: [SMPPConnection]
    private var isStopping = false
    private var lastTrouble: String?
    /// Reports that came up outside `turn`.
    private var pending: [ReportMessage] = []
    private let note: (String) -> Void

    /// - Parameter note: gets a sentence when the route breaks or stands again; standard error by default.
    package init(_ route: SMPPRoute, note: ((String) -> Void)? = nil) {
        self.route = route
        self.note = note ?? CourierNote.standardError
        desk = SMPPDesk(route)
        switch route.bind {
        case .transceiver: connections = [SMPPConnection(route, .transceiver)]
        case .transmitter: connections = [SMPPConnection(route, .transmitter)]
        case .pair: connections = [SMPPConnection(route, .transmitter), SMPPConnection(route, .receiver)]
        }
    }

    /// As the session's window and pauses allow.
    package func room(nowMs: UInt64) -> Int {
        connections[0].session.map { desk.room(window: $0.window(nowMs: nowMs)) } ?? 0
    }
    /// Nothing waits, nothing is in flight, and every connection is closed.
    package var isIdle: Bool { desk.isIdle && pending.isEmpty && connections.allSatisfy(\.isClosed) }

    /// Queues it; `turn` submits.
    package mutating func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage] {
        desk.take(submission)
    }

    /// Reads answers and receipts, then submits what there is room for.
    package mutating func turn(nowMs: UInt64) -> [ReportMessage] {
        var reports = pending
        pending = []
        for index in connections.indices { reports += handle(connections[index].turn(nowMs: nowMs), nowMs) }
        if var session = connections[0].session {
            // Taken out meanwhile, so that its buffers aren't copied.
            connections[0].session = nil
            reports += desk.fill(&session, nowMs: nowMs)
            connections[0].session = session
        } else {
            reports += desk.expire(nowMs: nowMs)
        }
        for index in connections.indices { reports += handle(connections[index].write(nowMs: nowMs), nowMs) }
        if isStopping, desk.isIdle { reports += unbind(nowMs) }
        tellTrouble()
        return reports
    }

    private mutating func handle(_ events: [SMPPSession.Event], _ nowMs: UInt64) -> [ReportMessage] {
        var reports: [ReportMessage] = []
        for event in events {
            switch event {
            case .answered(let handle, let answer): reports += desk.answered(handle, answer, nowMs: nowMs)
            case .receipt(let receipt): reports += desk.received(receipt, nowMs: nowMs)
            case .bound, .ended: break
            }
        }
        return reports
    }

    /// Says each thing once, and that it is over.
    private mutating func tellTrouble() {
        let trouble = connections.lazy.compactMap(\.trouble).first
        if trouble != lastTrouble, !isStopping {
            note(
                trouble.map { "\(route.host):\(route.port): \($0)" }
                    ?? "\(route.host):\(route.port): the route stands")
        }
        lastTrouble = trouble
    }

    /// Its sockets and timers.
    package func waits(nowMs: UInt64) -> GatewayWaits {
        var waits = GatewayWaits()
        var until = desk.deadline()
        for connection in connections {
            let (descriptor, untilMs) = connection.waits(nowMs: nowMs)
            if let descriptor { waits.descriptors.append(descriptor) }
            if let untilMs { until = min(until ?? untilMs, untilMs) }
        }
        waits.untilMs = until
        return waits
    }

    /// Gives back what isn't in flight, and unbinds when the rest is answered.
    package mutating func stop(nowMs: UInt64) {
        isStopping = true
        pending += desk.stop()
        if desk.isIdle { pending += unbind(nowMs) }
    }

    private mutating func unbind(_ nowMs: UInt64) -> [ReportMessage] {
        var reports: [ReportMessage] = []
        for index in connections.indices { reports += handle(connections[index].stop(nowMs: nowMs), nowMs) }
        return reports
    }

    /// The SMSC refused a message for the route's sake, or our bind.
    package mutating func takeFault() -> Bool { desk.takeFault() }

    /// Receipts about messages of a courier before this one.
    package mutating func takeReceipts() -> [ReportReceipt] { desk.takeStrays() }
}
