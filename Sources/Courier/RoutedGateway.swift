package import Wire

/// Several gateways behind one: routes choose, breakers and rates decide, and what one refuses goes through another at the message's next
/// lease. One lease is one submit through one gateway: the server counts, so that couriers that come and go keep the count.
package struct RoutedGateway: Gateway {
    /// A gateway with what the courier knows of it.
    package struct Lane {
        package let name: String
        package var gateway: any Gateway
        package var breaker = CircuitBreaker()
        package var bucket: TokenBucket
        /// For each segment.
        package var priceMicros: UInt64
        package var currency: String
        /// An operator's wish: nothing new.
        package var isDrained: Bool
        /// Messages through it since the start.
        package var taken: UInt64 = 0
        package var failed: UInt64 = 0

        package init(
            name: String, gateway: any Gateway, perSecond: Int? = nil, priceMicros: UInt64 = 0,
            currency: String = "", isDrained: Bool = false
        ) {
            self.isDrained = isDrained
            self.name = name
            self.gateway = gateway
            bucket = TokenBucket(perSecond: perSecond)
            self.priceMicros = priceMicros
            self.currency = currency
        }

        package func room(nowMs: UInt64) -> Int {
            isDrained
                ? 0 : min(gateway.room(nowMs: nowMs), breaker.room(nowMs: nowMs), bucket.room(nowMs: nowMs))
        }
    }

    private let router: Router
    package private(set) var lanes: [Lane]
    private let random: () -> UInt64
    /// Tokens of messages that another gateway would take, until the first word on them.
    private var movable: Set<Bytes16> = []

    /// - Parameter random: for weights.
    package init(
        _ router: Router, _ lanes: [Lane],
        random: @escaping () -> UInt64 = { UInt64.random(in: .min ... .max) }
    ) {
        self.router = router
        self.lanes = lanes
        self.random = random
    }

    /// One gateway for every message: with a breaker, and a name that operators see and drain.
    package init(alone gateway: any Gateway, name: String) {
        var route = Router.Route()
        route.gateways = [name]
        self.init(Router([route]), [Lane(name: name, gateway: gateway)])
    }

    /// Drains a gateway or lets it take messages again; what it has goes on.
    package mutating func set(drained: Bool, _ name: String) {
        guard let index = lanes.firstIndex(where: { $0.name == name }) else { return }
        lanes[index].isDrained = drained
    }

    package func routes(nowMs: UInt64) -> [ReportRoute] {
        lanes.map { lane in
            var report = ReportRoute()
            report.gateway = InlineBytes(lane.name.utf8.prefix(32))
            report.breaker = lane.breaker.reported(nowMs: nowMs).rawValue
            report.drained = lane.isDrained ? 1 : 0
            report.room = UInt32(clamping: min(CourierSession.credit, lane.room(nowMs: nowMs)))
            (report.taken, report.failed) = (lane.taken, lane.failed)
            if lane.priceMicros > 0 {
                report.priceMicros = lane.priceMicros
                report.currency = InlineBytes(lane.currency)
            }
            return report
        }
    }

    /// What all take together. A message for which none of its own has room comes back untried.
    package func room(nowMs: UInt64) -> Int {
        lanes.reduce(0) { min(CourierSession.credit, $0 + min(CourierSession.credit, $1.room(nowMs: nowMs))) }
    }

    package mutating func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage] {
        let message = submission.message
        guard let route = router.route(phone: message.phone.array, purpose: message.purpose) else {
            return [submission.report(.permanentFailure, reason: "no route leads to this number")]
        }
        let order = Router.order(route, lastGateway: message.lastGateway.text, random: random())
        let open = order.compactMap { name in
            lanes.firstIndex { $0.name == name && $0.room(nowMs: nowMs) > 0 }
        }
        guard let index = open.first else {
            return [submission.report(.notSubmitted, reason: "no gateway of its route has room")]
        }
        if order.count > 1, movable.count < 65_536 { movable.insert(message.token) }
        var sent = submission
        if !route.sender.isEmpty { sent.sender = route.sender }
        lanes[index].breaker.take(nowMs: nowMs)
        lanes[index].bucket.take(nowMs: nowMs)
        let reports = lanes[index].gateway.take(sent, nowMs: nowMs)
        return handle(reports, of: index, nowMs)
    }

    package mutating func turn(nowMs: UInt64) -> [ReportMessage] {
        var reports: [ReportMessage] = []
        for index in lanes.indices {
            reports += handle(lanes[index].gateway.turn(nowMs: nowMs), of: index, nowMs)
            if lanes[index].gateway.takeFault() { lanes[index].breaker.see(.faulty, nowMs: nowMs) }
        }
        return reports
    }

    /// What a report says of its gateway, and what the courier adds to it.
    private mutating func handle(_ reports: [ReportMessage], of index: Int, _ nowMs: UInt64)
        -> [ReportMessage]
    {
        reports.map { report in
            var told = report
            told.gateway = InlineBytes(lanes[index].name.utf8.prefix(32))
            switch ReportMessage.Outcome(rawValue: report.outcome) {
            case .submitted, .delivered:
                if report.outcome == ReportMessage.Outcome.submitted.rawValue { lanes[index].taken += 1 }
                lanes[index].breaker.see(.taken, nowMs: nowMs)
                if lanes[index].priceMicros > 0, let segments = report.segments {
                    told.priceMicros = lanes[index].priceMicros * UInt64(segments)
                    told.currency = InlineBytes(lanes[index].currency)
                }
            case .transientFailure, .ambiguous:
                lanes[index].failed += 1
                lanes[index].breaker.see(.failed, nowMs: nowMs)
            case .notSubmitted:
                lanes[index].breaker.tookNothing()
                lanes[index].bucket.giveBack()
            // The number's fault: the gateway is at work.
            case .permanentFailure, .undelivered: lanes[index].breaker.tookNothing()
            case nil: break
            }
            if movable.remove(report.token) != nil { told.hasOther = 1 }
            return told
        }
    }

    package mutating func takeReceipts() -> [ReportReceipt] {
        lanes.indices.flatMap { index in
            lanes[index].gateway.takeReceipts().map { receipt in
                var told = receipt
                told.gateway = InlineBytes(lanes[index].name.utf8.prefix(32))
                return told
            }
        }
    }

    package func waits(nowMs: UInt64) -> GatewayWaits {
        var waits = GatewayWaits()
        for lane in lanes {
            let own = lane.gateway.waits(nowMs: nowMs)
            waits.descriptors += own.descriptors
            for until in [
                own.untilMs, lane.breaker.deadline(nowMs: nowMs), lane.bucket.deadline(nowMs: nowMs),
            ] {
                if let until { waits.untilMs = min(waits.untilMs ?? until, until) }
            }
        }
        return waits
    }

    package mutating func stop(nowMs: UInt64) {
        for index in lanes.indices { lanes[index].gateway.stop(nowMs: nowMs) }
    }

    package var isIdle: Bool { lanes.allSatisfy { $0.gateway.isIdle } }
}
