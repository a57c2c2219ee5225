import Wire

/// What a campaign says of itself.
enum Report {
    static let seeds = "seeds"
    static let requests = "requests"
    static let failures = "seeds with a violation"
    /// Statuses that can't come yet, and why.
    static let unreachable: [Status: String] = [
        .draining: "connections are closed in the turn in which draining begins",
        .quarantined: "needs a process that crashed twice on a request",
        .unknown: "the process ends instead of answering; the connection's end says unknown",
        .undeliverable: "startAnew took its place",
    ]
    private static let unreachableLimits: [Limit: String] = [
        .none: "no limit"
    ]
    private static let unreachableEvents: [EventPush.Kind: String] = [
        .serverDraining: "connections are closed in the turn in which draining begins",
        .requestQuarantined: "needs a process that crashed twice on a request",
        .requestsLost: "needs a folder that lost what was acknowledged, which no honest disk does",
    ]

    private static let missing = "DID NOT OCCUR"

    static func print(_ tally: Occurrences, seconds: Double, first: UInt64, operations: Int) {
        let seeds = tally[Report.seeds]
        Swift.print(
            "seeds \(first)…\(first + UInt64(seeds) - 1), \(operations) operations each: \(tally[Report.requests]) requests in \(Int(seconds)) s"
        )
        for (title, prefix) in [
            ("faults", "fault "), ("statuses", "status "), ("limits", "limit "), ("events", "event "),
            ("goodbyes", "goodbye "),
        ] {
            Swift.print(title)
            for (name, count) in tally.lines(prefix) { Swift.print("  \(count)\t\(name)") }
        }
        for status in Status.allCases where tally["status \(status)"] == 0 {
            Swift.print("  0\t\(status): \(unreachable[status] ?? missing)")
        }
        for limit in Limit.allCases where tally["limit \(limit.name)"] == 0 {
            Swift.print("  0\tlimit \(limit.name): \(unreachableLimits[limit] ?? missing)")
        }
        for kind in EventPush.Kind.allCases where tally["event \(kind.name)"] == 0 {
            Swift.print("  0\tevent \(kind.name): \(unreachableEvents[kind] ?? missing)")
        }
        for name in [
            "message pushed", "message leased again", "ledgers checked",
            "ledgers not checked: events had expired unseen",
        ] {
            Swift.print("\(tally[name])\t\(name)")
        }
        Swift.print("\(tally[Report.failures]) \(Report.failures)")
    }
}
