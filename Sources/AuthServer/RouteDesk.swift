import Wire

/// What couriers tell of their gateways, and which of these the operator wants drained. Memory alone: a courier tells it anew each few
/// seconds, and after a start of ours a drained gateway says so itself.
final class RouteDesk {
    /// Gateways of one courier, and of all.
    static let mostOfOne = 32
    static let most = 256
    /// Names that the operator has said something of.
    static let mostWishes = 256

    private struct Lane {
        let courier: ObjectIdentifier
        let uid: UInt32
        var report: ReportRoute
        var toldAtMs: UInt64
    }

    private var lanes: [Lane] = []
    /// True = drained.
    private var wishes: [[UInt8]: Bool] = [:]

    /// - Returns: `nil` = there are too many.
    func report(_ report: ReportRoute, _ connection: Connection, now: UInt64) -> ReportRoute.Reply? {
        let courier = ObjectIdentifier(connection)
        if let index = lanes.firstIndex(where: { $0.courier == courier && $0.report.gateway == report.gateway }) {
            (lanes[index].report, lanes[index].toldAtMs) = (report, now)
        } else {
            guard lanes.count < RouteDesk.most, lanes.count(where: { $0.courier == courier }) < RouteDesk.mostOfOne else {
                return nil
            }
            lanes.append(Lane(courier: courier, uid: connection.uid, report: report, toldAtMs: now))
            // It was drained before this server started, or is by its configuration.
            if report.drained != 0, wishes[report.gateway.array] == nil, wishes.count < RouteDesk.mostWishes {
                wishes[report.gateway.array] = true
            }
        }
        var reply = ReportRoute.Reply()
        reply.drained = wishes[report.gateway.array] ?? (report.drained != 0) ? 1 : 0
        return reply
    }

    func show(_ index: UInt16, now: UInt64) -> ShowRoute.Reply {
        var reply = ShowRoute.Reply()
        reply.count = UInt16(lanes.count)
        guard Int(index) < lanes.count else { return reply }
        let lane = lanes[Int(index)]
        reply.ageMs = now - min(now, lane.toldAtMs)
        reply.uid = lane.uid
        reply.gateway = lane.report.gateway
        reply.breaker = lane.report.breaker
        reply.drained = lane.report.drained
        reply.room = lane.report.room
        reply.taken = lane.report.taken
        reply.failed = lane.report.failed
        reply.priceMicros = lane.report.priceMicros
        reply.currency = lane.report.currency
        return reply
    }

    /// Whether there was room to remember it.
    func drain(_ message: DrainRoute) -> Bool {
        guard wishes[message.gateway.array] != nil || wishes.count < RouteDesk.mostWishes else { return false }
        wishes[message.gateway.array] = message.drained != 0
        return true
    }

    func remove(_ connection: Connection) {
        guard !lanes.isEmpty else { return }
        let courier = ObjectIdentifier(connection)
        lanes.removeAll { $0.courier == courier }
    }
}
