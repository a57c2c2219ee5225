/// Numbers and tables for a terminal.
enum Text {
    /// `12,345`, or three digits and a unit's worth of fraction below ten.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        if abs(value) >= 100 || value == value.rounded() { return grouped(Int(value.rounded())) }
        let scale = abs(value) < 10 ? 100.0 : 10.0
        let scaled = Int((value * scale).rounded())
        let fraction = String(abs(scaled) % Int(scale))
        return "\(scaled / Int(scale))."
            + String(repeating: "0", count: (scale == 100 ? 2 : 1) - fraction.count) + fraction
    }

    static func number(_ value: Double?) -> String { value.map { number($0) } ?? "–" }

    private static func grouped(_ value: Int) -> String {
        var digits = String(abs(value))
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    static func bytes(_ value: UInt64) -> String { "\(number(Double(value) / 1_048_576)) MiB" }

    /// Columns as wide as their widest cell; the first is flush left, the others right.
    static func table(_ header: [String], _ rows: [[String]]) -> String {
        var widths = header.map(\.count)
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        func line(_ cells: [String]) -> String {
            cells.enumerated().map { index, cell in
                let blank = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? cell + blank : blank + cell
            }.joined(separator: "  ")
        }
        return
            ([line(header), widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")]
            + rows.map(line))
            .joined(separator: "\n")
    }

    static let header = [
        "target", "mix", "load", "replies/s", "p50 µs", "p90", "p99", "p99.9", "max", "syncs/s",
        "journal B/reply", "CPU µs/reply",
        "RssAnon",
    ]

    static func row(_ m: Measurement) -> [String] {
        var load =
            m.offeredRate.map { "\(number($0))/s open" } ?? "\(m.clients)\(m.depth > 1 ? "×\(m.depth)" : "")"
        if m.spread != "fresh" { load += " \(m.spread)" }
        if m.slowSyncMs > 0 { load += " +\(number(m.slowSyncMs)) ms" }
        if m.records > 0 { load += " \(number(Double(m.records))) rec" }
        return [
            m.target.rawValue, m.name, load, number(m.rate), number(m.all.p50), number(m.all.p90),
            number(m.all.p99),
            number(m.all.p999), number(m.all.max), number(m.syncsPerSecond), number(m.journalBytesPerReply),
            number(m.cpuMicrosPerReply), m.privateBytes > 0 ? bytes(m.privateBytes) : "–",
        ]
    }
}
