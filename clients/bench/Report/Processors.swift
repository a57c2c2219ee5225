/// Where the processors' time goes, and what of it the goal for the main job leaves to otpd's loop while everything else takes what it takes.
struct Processors {
    let report: Report

    /// Of one load: `processor µs/reply: loop 14.1, …; load generator 5.2`. nil = it wasn't measured.
    static func line(_ m: Measurement) -> String? {
        let parts = m.threadMicrosPerReply.filter { $0.key != Measurement.generator && $0.value >= 0.05 }
            .sorted { $0.value > $1.value }
        guard !parts.isEmpty, let generator = m.threadMicrosPerReply[Measurement.generator] else { return nil }
        let text = parts.map { "\($0.key) \(Text.number($0.value))" }.joined(separator: ", ")
        return "processor µs/reply: \(text); load generator \(Text.number(generator))"
    }

    /// For each number of clients of the main job, otpd beside the floor.
    var lines: [String] {
        [1, 16, 64].flatMap { clients -> [String] in
            guard let ours = report.closedLoop(.otpd, "cycle", clients: clients),
                let floor = report.closedLoop(.floor, "cycle", clients: clients),
                let text = Processors.line(ours), let floorText = Processors.line(floor), floor.rate > 0
            else { return [] }
            let least = 1e6 / (0.75 * floor.rate)
            let all = least * Double(report.machine.processors)
            let loop = ours.threadMicrosPerReply["otpd-loop"] ?? 0
            let rest = ours.threadMicrosPerReply.values.reduce(0, +) - loop
            return [
                "\(clients) client\(clients == 1 ? "" : "s"), otpd: \(text)",
                "\(clients) client\(clients == 1 ? "" : "s"), floor: \(floorText)",
                "  0.75 of the floor is a write in \(Text.number(least)) µs. \(report.machine.processors) processors give \(Text.number(all)) µs in that time; "
                    + "all but otpd's loop takes \(Text.number(rest)), which leaves the loop \(Text.number(min(least, max(0, all - rest)))); it takes \(Text.number(loop)).",
            ]
        }
    }
}
