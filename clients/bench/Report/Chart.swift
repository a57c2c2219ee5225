import Glibc

/// Plots as inline SVG, without any script or outside file.
enum Chart {
    struct Series {
        var name: String
        var points: [(x: Double, y: Double)]
        /// Place in `colours`.
        var colour = 0
        /// The tail of what a whole line of the same colour shows.
        var isDashed = false
    }

    /// Colours that colour-blind readers tell apart (Okabe and Ito).
    static let colours = ["#0072b2", "#222222", "#999999", "#d55e00", "#e69f00", "#009e73", "#cc79a7"]
    private static let (width, height, left, bottom, top, right) = (720.0, 340.0, 76.0, 48.0, 18.0, 200.0)

    /// Lines over a linear or logarithmic x axis; y is logarithmic. `names` replace the numbers under the points.
    static func lines(x: String, y: String, logX: Bool, ticks names: [String]? = nil, _ series: [Series])
        -> String
    {
        let all = series.flatMap(\.points).filter { $0.y > 0 && (!logX || $0.x > 0) }
        guard let lowX = all.map(\.x).min(), let highX = all.map(\.x).max() else {
            return "<p>Not measured in this run.</p>"
        }
        let (lowY, highY) = decades(all.map(\.y))
        let startX = names == nil ? min(0, lowX) : lowX
        func px(_ v: Double) -> Double {
            let part =
                logX
                ? log10(v / lowX) / max(0.001, log10(highX / lowX))
                : (v - startX) / max(1e-9, highX - startX)
            return left + part * (width - left - right)
        }
        func py(_ v: Double) -> Double {
            height - bottom - log10(v / lowY) / log10(highY / lowY) * (height - bottom - top)
        }
        var body = axisY(lowY, highY, py) + title(x, y)
        let ticks =
            logX || names != nil ? Array(Set(all.map(\.x))).sorted() : (0...4).map { Double($0) / 4 * highX }
        for (index, tick) in ticks.enumerated() {
            let name = names.flatMap { index < $0.count ? $0[index] : nil } ?? Text.number(tick)
            body += text(px(tick), height - bottom + 16, name, "middle")
        }
        for (index, one) in series.enumerated() {
            let colour = colours[one.colour % colours.count]
            let dash = one.isDashed ? " stroke-dasharray='6 4'" : ""
            let points = one.points.filter { $0.y > 0 }.map { (round2(px($0.x)), round2(py($0.y))) }
            let path = points.map { "\($0.0),\($0.1)" }.joined(separator: " ")
            body += "<polyline fill='none' stroke='\(colour)' stroke-width='2'\(dash) points='\(path)'/>"
            for point in points { body += "<circle cx='\(point.0)' cy='\(point.1)' r='3' fill='\(colour)'/>" }
            body += legend(index, one)
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
                    "<rect x='\(round2(x))' y='\(round2(py(point.y)))' width='\(round2(bar - 1))' height='\(round2(height - bottom - py(point.y)))' fill='\(colours[one.colour % colours.count])'><title>\(one.name): \(Text.number(point.y))</title></rect>"
            }
            body += legend(index, one)
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

    private static func legend(_ index: Int, _ one: Series) -> String {
        let (x, y) = (width - right + 12, top + 8 + Double(index) * 18)
        let dash = one.isDashed ? " stroke-dasharray='4 3'" : ""
        return
            "<line x1='\(x)' y1='\(y - 4)' x2='\(x + 16)' y2='\(y - 4)' stroke='\(colours[one.colour % colours.count])' stroke-width='4'\(dash)/>"
            + text(x + 22, y, one.name, "start")
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
