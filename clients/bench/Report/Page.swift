/// The report as one self-contained page.
struct Page {
    let report: Report

    private let style = """
        body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#222}
        table{border-collapse:collapse;font-size:13px;margin:.5rem 0 1.5rem;display:block;overflow-x:auto}
        th,td{padding:3px 9px;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
        th:first-child,td:first-child{text-align:left} .wide td{white-space:normal;min-width:5rem} .no{color:#b00020;font-weight:600} .yes{color:#00703c;font-weight:600}
        svg{width:100%;max-width:780px;font:12px system-ui,sans-serif} code{background:#f3f3f3;padding:1px 4px}
        """

    var html: String {
        """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>otp-bench</title><style>\(style)</style>
        <h1>otp-bench</h1>
        <p><code>\(escape(report.command))</code>, commit \(escape(report.commit)), seed \(report.seed)</p>
        \(machine)
        <h2>Goals</h2><div class="wide">\(table(Goal.header, Goals(report: report).rows.map(\.row)))</div>
        <h2>Where the processors' time goes</h2><pre>\(escape(Processors(report: report).lines.joined(separator: "\n")))</pre>
        <h2>Throughput of the main job</h2><p>Durable replies a second, closed loop, by clients (redis-everysec's aren't durable).</p>\(throughput("cycle"))
        <h2>Lookups</h2>\(throughput("lookup"))
        <h2>Latency over load</h2><p>Open loop: latency counts from the instant at which a request was due, so a stall isn't hidden.</p>
        \(latencyOverLoad)
        <h2>Percentiles</h2><p>Of each request of the main job.</p>\(percentiles)
        <h2>Over the size of the data</h2>\(scale)
        <h2>Counts per request</h2><p>One client, on the event loop's thread.</p>\(counts)
        <h2>All measurements</h2>\(table(Text.header, report.measurements.map(Text.row)))
        </html>
        """
    }

    private func escape(_ text: String) -> String {
        String(text.flatMap { c -> String in c == "<" ? "&lt;" : c == "&" ? "&amp;" : String(c) })
    }

    private var machine: String {
        let sync = Latency(report.yardsticks.sync), echo = Latency(report.yardsticks.echo)
        let measured = [
            ("journal sync (512 B)", "p50 \(Text.number(sync.p50)) µs, p99 \(Text.number(sync.p99)) µs"),
            ("socket echo", "p50 \(Text.number(echo.p50)) µs, p99 \(Text.number(echo.p99)) µs"),
        ]
        return table(["machine", ""], (report.machine.lines + measured).map { [$0.0, $0.1] })
    }

    private func table(_ header: [String], _ rows: [[String]]) -> String {
        func cells(_ row: [String], _ tag: String) -> String {
            "<tr>"
                + row.map { cell in
                    let mark = cell == "NO" ? " class='no'" : cell == "yes" ? " class='yes'" : ""
                    return "<\(tag)\(mark)>\(escape(cell))</\(tag)>"
                }.joined() + "</tr>"
        }
        return "<table>" + cells(header, "th") + rows.map { cells($0, "td") }.joined() + "</table>"
    }

    private func closed(_ name: String) -> [Measurement] {
        report.measurements.filter {
            $0.name == name && $0.offeredRate == nil && $0.slowSyncMs == 0 && $0.spread == "fresh"
                && $0.depth == 1
                && ($0.target != .otpd || $0.records == report.smallestDataset)
        }
    }

    private func throughput(_ name: String) -> String {
        // Without a disk there is nothing to compare writes with.
        let found = closed(name).filter { name != "cycle" || $0.target != .echo }
        let clients = Array(Set(found.map(\.clients))).sorted()
        let series = TargetKind.allCases.compactMap { kind -> Chart.Series? in
            let points = found.filter { $0.target == kind }.compactMap { m in
                clients.firstIndex(of: m.clients).map { (x: Double($0), y: m.rate) }
            }
            return points.isEmpty
                ? nil : Chart.Series(name: kind.rawValue, points: points, colour: kind.colour)
        }
        return Chart.bars(y: "replies/s", groups: clients.map { "\($0) client\($0 == 1 ? "" : "s")" }, series)
    }

    private var latencyOverLoad: String {
        let open = report.measurements.filter { $0.name == "open" }
        let series = TargetKind.allCases.flatMap { kind -> [Chart.Series] in
            let own = open.filter { $0.target == kind }.sorted {
                ($0.offeredRate ?? 0) < ($1.offeredRate ?? 0)
            }
            guard !own.isEmpty else { return [] }
            func line(_ name: String, isDashed: Bool, _ value: (Latency) -> Double) -> Chart.Series {
                Chart.Series(
                    name: "\(kind.rawValue) \(name)",
                    points: own.map { (x: 2 * ($0.offeredRate ?? 0), y: value($0.all)) }, colour: kind.colour,
                    isDashed: isDashed)
            }
            return [line("p50", isDashed: false) { $0.p50 }, line("p99", isDashed: true) { $0.p99 }]
        }
        return Chart.lines(x: "offered writes a second", y: "µs", logX: false, series)
    }

    private var percentiles: String {
        let series = closed("cycle").filter { $0.clients == 16 && $0.target != .echo }.map { m in
            Chart.Series(
                name: "\(m.target.rawValue), 16 clients",
                points: [m.all.p50, m.all.p90, m.all.p99, m.all.p999, m.all.max].enumerated().map {
                    (x: Double($0), y: $1)
                },
                colour: m.target.colour)
        }
        return Chart.lines(
            x: "percentile", y: "µs", logX: false, ticks: ["p50", "p90", "p99", "p99.9", "max"], series)
    }

    private var scale: String {
        let own = report.measurements.filter {
            $0.target == .otpd && $0.records > 0 && $0.offeredRate == nil && $0.slowSyncMs == 0
                && $0.clients == 64
        }
        guard Set(own.map(\.records)).count > 1 else {
            return "<p>Not measured in this run (RECORDS=10000,10000000).</p>"
        }
        func line(_ title: String, _ name: String, _ colour: Int, _ value: (Measurement) -> Double)
            -> Chart.Series
        {
            let points = own.filter { $0.name == name && $0.spread == "fresh" }.map {
                (x: Double($0.records), y: value($0))
            }
            return Chart.Series(
                name: title, points: points.sorted { $0.x < $1.x }, colour: colour,
                isDashed: title.hasSuffix("µs"))
        }
        return Chart.lines(
            x: "challenges and phones", y: "replies/s, µs", logX: true,
            [
                line("cycle, replies/s", "cycle", 0, \.rate),
                line("cycle, p99 µs", "cycle", 0) { $0.all.p99 },
                line("lookup, replies/s", "lookup", 3, \.rate),
                line("lookup, p99 µs", "lookup", 3) { $0.all.p99 },
            ])
    }

    private var counts: String {
        table(
            ["mix", "allocations", "bytes allocated", "system calls", "syncs", "journal bytes"],
            report.counts.map { c in
                [c.mix.rawValue]
                    + [c.allocations, c.allocatedBytes, c.calls, c.syncs, c.journalBytes].map {
                        Text.number($0)
                    }
            })
    }
}
