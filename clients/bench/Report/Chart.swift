import Glibc

/// Plots as inline SVG, without any script or outside file.
enum Chart {
    struct Series {
        var name: String
        var points: [(x: Double, y: Double)]
    }

    /// Six colours that colour-blind readers tell apart (Okabe and Ito).
    static let colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
    private static let (width, height, left, bottom, top, right) = (720.0, 340.0, 76.0, 48.0, 18.0, 200.0)

    /// Lines over a linear or logarithmic x axis; y is logarithmic.
    static func lines(x: String, y: String, logX: Bool, _ series: [Series]) -> String {
        let all = series.flatMap(\.points).filter { $0.y > 0 && (!logX || $0.x > 0) }
        guard let lowX = all.map(\.x).min(), let highX = all.map(\.x).max() else {
            return "<p>Not measured in this run.</p>"
        }
        let (lowY, highY) = decades(all.map(\.y))
        func px(_ v: Double) -> Double {
            let part =
                logX
                ? log10(v / lowX) / max(0.001, log10(highX / lowX))
                : (v - min(0, lowX)) / max(1e-9, highX - min(0, lowX))
            return left + part * (width - left - right)
        }
        func py(_ v: Double) -> Double {
            height - bottom - log10(v / lowY) / log10(highY / lowY) * (height - bottom - top)
        }
        var body = axisY(lowY, highY, py) + title(x, y)
        let ticks = logX ? Array(Set(all.map(\.x))).sorted() : (0...4).map { Double($0) / 4 * highX }
        for tick in ticks { body += text(px(tick), height - bottom + 16, Text.number(tick), "middle") }
        for (index, one) in series.enumerated() {
            let colour = colours[index % colours.count]
            let points = one.points.filter { $0.y > 0 }.map { "\(round2(px($0.x))),\(round2(py($0.y)))" }
            body +=
                "<polyline fill='none' stroke='\(colour)' stroke-width='2' points='\(points.joined(separator: " "))'/>"
            for point in points {
                let parts = point.split(separator: ",")
                body += "<circle cx='\(parts[0])' cy='\(parts[1])' r='3' fill='\(colour)'/>"
            }
            body += legend(index, one.name)
        }
        return wrap(body)
    }

    /// Groups of bars, y linear from 0.
    static func bars(y: String, groups: [String], _ series: [Series]) -> String {
        let highest = series.flatMap(\.points).map(\.y).max() ?? 0
        guard highest > 0 else { return "<p>Not measured in this run.</p>" }
        func py(_ v: Double) -> Double { height - bottom - v / highest * (height - bottom - top) }
        var body = title("", y)
        for step in 0...4 {
            let value = highest * Double(step) / 4
            body +=
                line(left, py(value), width - right, py(value), "#ddd")
                + text(left - 6, py(value) + 4, Text.number(value), "end")
        }
        let slot = (width - left - right) / Double(max(1, groups.count))
        let bar = slot * 0.8 / Double(max(1, series.count))
        for (index, group) in groups.enumerated() {
            body += text(left + slot * (Double(index) + 0.5), height - bottom + 16, group, "middle")
        }
        for (index, one) in series.enumerated() {
            for point in one.points {
                let x = left + slot * (point.x + 0.1) + bar * Double(index)
                body +=
                    "<rect x='\(round2(x))' y='\(round2(py(point.y)))' width='\(round2(bar - 1))' height='\(round2(height - bottom - py(point.y)))' fill='\(colours[index % colours.count])'><title>\(one.name): \(Text.number(point.y))</title></rect>"
            }
            body += legend(index, one.name)
        }
        return wrap(body)
    }

    private static func decades(_ values: [Double]) -> (Double, Double) {
        let (low, high) = (values.min() ?? 1, values.max() ?? 10)
        return (pow(10, floor(log10(low))), pow(10, max(floor(log10(low)) + 1, ceil(log10(high)))))
    }

    private static func axisY(_ low: Double, _ high: Double, _ py: (Double) -> Double) -> String {
        var out = ""
        var value = low
        while value <= high * 1.001 {
            out +=
                line(left, py(value), width - right, py(value), "#ddd")
                + text(left - 6, py(value) + 4, Text.number(value), "end")
            value *= 10
        }
        return out
    }

    private static func title(_ x: String, _ y: String) -> String {
        text((left + width - right) / 2, height - 10, x, "middle")
            + "<text x='14' y='\(height / 2)' transform='rotate(-90 14 \(height / 2))' text-anchor='middle'>\(y)</text>"
    }

    private static func legend(_ index: Int, _ name: String) -> String {
        let y = top + 8 + Double(index) * 18
        return
            "<rect x='\(width - right + 12)' y='\(y - 9)' width='11' height='11' fill='\(colours[index % colours.count])'/>"
            + text(width - right + 28, y, name, "start")
    }

    private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String)
        -> String
    {
        "<line x1='\(round2(x1))' y1='\(round2(y1))' x2='\(round2(x2))' y2='\(round2(y2))' stroke='\(colour)'/>"
    }

    private static func text(_ x: Double, _ y: Double, _ text: String, _ anchor: String) -> String {
        "<text x='\(round2(x))' y='\(round2(y))' text-anchor='\(anchor)'>\(text)</text>"
    }

    private static func round2(_ value: Double) -> String { String((value * 100).rounded() / 100) }
    private static func wrap(_ body: String) -> String {
        "<svg viewBox='0 0 \(width) \(height)' role='img'>\(body)</svg>"
    }
}
