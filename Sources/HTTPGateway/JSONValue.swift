/// A JSON text as a tree: what the vendors' small answers need, and no more. Foundation's would be the only reason to link Foundation here.
package indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// As written: ids with 19 digits stay what they are.
    case number(String)
    case string(String)
    case array([JSONValue])
    /// In order; of a repeated key the first counts.
    case object([Member])

    package struct Member: Sendable, Equatable {
        let key: String
        let value: JSONValue
    }

    /// `nil` for anything that isn't one JSON text, or that is nested deeper than 32.
    package init?(_ bytes: [UInt8]) {
        var reader = JSONReader(bytes)
        guard let value = reader.document() else { return nil }
        self = value
    }

    package subscript(_ key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    subscript(_ index: Int) -> JSONValue? {
        guard case .array(let items) = self, items.indices.contains(index) else { return nil }
        return items[index]
    }

    /// `messages.0.status`.
    func at(_ path: [String]) -> JSONValue? {
        path.reduce(self as JSONValue?) { value, step in
            if case .array = value { return Int(step).flatMap { value?[$0] } }
            return value?[step]
        }
    }

    package var items: [JSONValue]? {
        guard case .array(let items) = self else { return nil }
        return items
    }

    /// A string's or number's text; `true` and `false`.
    package var text: String? {
        switch self {
        case .string(let text), .number(let text): text
        case .bool(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    /// As JSON, without spaces.
    var json: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let text): text
        case .string(let text): "\"\(Escape.json(text))\""
        case .array(let items): "[" + items.map(\.json).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\"\(Escape.json($0.key))\":\($0.value.json)" }.joined(separator: ",") + "}"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    package init(stringLiteral text: String) { self = .string(text) }
    package init(arrayLiteral items: JSONValue...) { self = .array(items) }
    package init(dictionaryLiteral members: (String, JSONValue)...) {
        self = .object(members.map { Member(key: $0.0, value: $0.1) })
    }

    static func number(_ value: UInt64) -> JSONValue { .number(String(value)) }

    /// Without the members whose value is empty.
    static func compact(_ members: [(String, JSONValue?)]) -> JSONValue {
        .object(members.compactMap { key, value in value.map { Member(key: key, value: $0) } })
    }
}
