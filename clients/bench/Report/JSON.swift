import Glibc

/// Just enough JSON to write: no dependency on Foundation.
enum JSON {
    case string(String)
    case number(Double)
    case bool(Bool)
    case null
    case array([JSON])
    case object([(String, JSON)])

    static func optional(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }

    var text: String { render(0) + "\n" }

    private func render(_ depth: Int) -> String {
        let (inner, outer) = (
            String(repeating: "  ", count: depth + 1), String(repeating: "  ", count: depth)
        )
        switch self {
        case .string(let text): return JSON.quote(text)
        case .number(let value): return JSON.format(value)
        case .bool(let value): return value ? "true" : "false"
        case .null: return "null"
        case .array(let items) where items.isEmpty: return "[]"
        case .array(let items):
            return "[\n" + items.map { inner + $0.render(depth + 1) }.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let fields):
            let lines = fields.map { "\(inner)\(JSON.quote($0.0)): \($0.1.render(depth + 1))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        }
    }

    private static func format(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return String((value * 1_000).rounded() / 1_000)
    }

    private static func quote(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
