import Wire

/// What couriers tell of their gateways, and which of these the operator wants drained. Memory alone: a courier tells it anew each few
/// seconds, and after a start of ours a drained gateway says so itself.
///
/// Both lists are bounded, and nobody fills them for others: what hasn't been told for a while goes first,
/// then what belongs to the user who has the most; what couriers say of draining never stands in the
/// operator's way.
final class RouteDesk {
    /// Gateways of one connection, and of all.
    static let mostOfOne = 32
    static let most = 256
    /// Milliseconds after which a gateway that wasn't told again makes room for another: couriers tell each
    /// few seconds.
    static let staleMs: UInt64 = 60_000

    private struct Lane {
        let courier: ObjectIdentifier
        let uid: UInt32
        var report: ReportRoute
        var toldAtMs: UInt64
    }

    private var lanes: [Lane] = []
    private var wishes = DrainWishes()

    var count: Int { lanes.count }
    var wishCount: Int { wishes.count }

    /// - Returns: `nil` = there are too many.
    func report(_ report: ReportRoute, _ connection: Connection, now: UInt64) -> ReportRoute.Reply? {
        let courier = ObjectIdentifier(connection)
        if let index = lanes.firstIndex(where: { $0.courier == courier && $0.report.gateway == report.gateway }) {
            (lanes[index].report, lanes[index].toldAtMs) = (report, now)
        } else {
            guard makeRoom(for: courier, uid: connection.uid, now: now) else { return nil }
            lanes.append(Lane(courier: courier, uid: connection.uid, report: report, toldAtMs: now))
            // It was drained before this server started, or is by its configuration.
            if report.drained != 0 {
                wishes.learn(report.gateway.array, from: connection.uid, now: now, isReported: isReported)
            }
        }
        var reply = ReportRoute.Reply()
        reply.drained = wishes[report.gateway.array] ?? (report.drained != 0) ? 1 : 0
        return reply
    }

    /// Whether there is a place for one more gateway of this courier, or one that may go.
    private func makeRoom(for courier: ObjectIdentifier, uid: UInt32, now: UInt64) -> Bool {
        if lanes.count(where: { $0.courier == courier }) >= RouteDesk.mostOfOne {
            guard let own = stalest(where: { $0.courier == courier }), isStale(own, now) else { return false }
            lanes.remove(at: own)
        }
        guard lanes.count >= RouteDesk.most else { return true }
        if let oldest = stalest(where: { _ in true }), isStale(oldest, now) {
            lanes.remove(at: oldest)
            return true
        }
        var ofUID: [UInt32: Int] = [:]
        for lane in lanes { ofUID[lane.uid, default: 0] += 1 }
        // Else two users would push each other out for ever.
        guard let greatest = ofUID.max(by: { ($0.value, $0.key) < ($1.value, $1.key) }),
            greatest.value > ofUID[uid, default: 0] + 1,
            let oldest = stalest(where: { $0.uid == greatest.key })
        else { return false }
        lanes.remove(at: oldest)
        return true
    }

    private func isStale(_ index: Int, _ now: UInt64) -> Bool {
        now >= lanes[index].toldAtMs + RouteDesk.staleMs
    }

    /// The one that was told the longest ago.
    private func stalest(where isMeant: (Lane) -> Bool) -> Int? {
        lanes.indices.filter { isMeant(lanes[$0]) }.min { lanes[$0].toldAtMs < lanes[$1].toldAtMs }
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
    func drain(_ message: DrainRoute, now: UInt64) -> Bool {
        wishes.say(message.gateway.array, message.drained != 0, now: now, isReported: isReported)
    }

    /// Whether a courier tells of it, and whether one has it drained.
    private func isReported(_ gateway: [UInt8]) -> (isThere: Bool, isDrained: Bool) {
        var found = (isThere: false, isDrained: false)
        for lane in lanes where lane.report.gateway.withBytes({ $0.elementsEqual(gateway) }) {
            found.isThere = true
            if lane.report.drained != 0 { found.isDrained = true }
        }
        return found
    }

    func remove(_ connection: Connection) {
        guard !lanes.isEmpty else { return }
        let courier = ObjectIdentifier(connection)
        lanes.removeAll { $0.courier == courier }
    }
}
