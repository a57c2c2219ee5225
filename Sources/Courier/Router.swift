/// Which gateways a message may go through, in order. Pure: it knows their names and no more.
package struct Router: Sendable {
    /// Messages to certain numbers, for certain purposes.
    package struct Route: Sendable {
        /// `+33`, `+1425`; empty = every number.
        package var prefixes: [String] = []
        /// Their numbers; empty = every purpose.
        package var purposes: [UInt16] = []
        /// In the order of fail-over.
        package var gateways: [String] = []
        /// How often each comes first, against the others; empty = the first always does. 0 = for fail-over only.
        package var weights: [UInt32] = []
        /// What phones show; empty = the gateway's own.
        package var sender = ""

        package init() {}
    }

    /// In order of precedence: the first that fits is taken.
    package var routes: [Route]

    package init(_ routes: [Route]) { self.routes = routes }

    /// The first route that fits; `nil` = the message can't be sent.
    package func route(phone: [UInt8], purpose: UInt16) -> Route? {
        routes.first { route in
            (route.purposes.isEmpty || route.purposes.contains(purpose))
                && (route.prefixes.isEmpty || route.prefixes.contains { phone.starts(with: $0.utf8) })
        }
    }

    /// A route's gateways for one message: the one that the weights draw, then the others in their order; and last the one that failed
    /// it before.
    /// - Parameter random: uniform over all values.
    package static func order(_ route: Route, lastGateway: String, random: UInt64) -> [String] {
        var order = route.gateways
        let total = route.weights.reduce(UInt64(0)) { $0 + UInt64($1) }
        if total > 0, route.weights.count == order.count {
            var place = random % total
            for (index, weight) in route.weights.enumerated() {
                if place < UInt64(weight) {
                    order.insert(order.remove(at: index), at: 0)
                    break
                }
                place -= UInt64(weight)
            }
        }
        if let failed = order.firstIndex(of: lastGateway) { order.append(order.remove(at: failed)) }
        return order
    }
}
