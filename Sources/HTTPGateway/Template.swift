/// A text with places: `{phone}`, `{text}` and the like. Other braces stand for themselves, so JSON can be written as it is.
struct Template: Sendable {
    /// How a value is written where it stands.
    enum Escaping: Sendable {
        case percent
        case form
        case json
        case xml
        /// As it is; only for what can't break out of its place.
        case none

        func callAsFunction(_ value: String) -> String {
            switch self {
            case .percent: Escape.percent(value)
            case .form: Escape.formValue(value)
            case .json: Escape.json(value)
            case .xml: Escape.xml(value)
            case .none: value
            }
        }
    }

    private enum Piece: Sendable {
        case fixed(String)
        case place(String)
    }

    private var pieces: [Piece] = []
    /// Names in the order of their places.
    var places: [String] {
        pieces.compactMap { piece in
            if case .place(let name) = piece { name } else { nil }
        }
    }

    /// `{` lower-case letters and `_` `}` is a place.
    init(_ text: String) {
        var fixed = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            fixed += rest[..<open]
            rest = rest[open...]
            let name = rest.dropFirst().prefix { ("a"..."z").contains($0) || $0 == "_" }
            let after = rest.dropFirst(1 + name.count)
            if name.isEmpty || after.first != "}" {
                fixed.append("{")
                rest = rest.dropFirst()
                continue
            }
            pieces += [.fixed(fixed), .place(String(name))]
            fixed = ""
            rest = after.dropFirst()
        }
        pieces.append(.fixed(fixed + rest))
    }

    func filled(_ values: [String: String], _ escaping: Escaping) -> String {
        pieces.reduce(into: "") { text, piece in
            switch piece {
            case .fixed(let fixed): text += fixed
            case .place(let name): text += escaping(values[name] ?? "")
            }
        }
    }
}
