/// Who receives the message: decides its last line, and nothing comes after that line.
public enum ReceivingClient: Sendable, Equatable {
    /// No last line.
    case none
    /// `@host #code`: origin-bound one-time codes (WICG), for autofill in browsers.
    case web(host: String)
    /// The app's hash of 11 characters (Android SMS Retriever).
    case android(appHash: String)
}

/// Why a template isn't taken.
public struct TemplateError: Error, Equatable, CustomStringConvertible, Sendable {
    /// What is wrong and what to write instead.
    public let description: String
}

/// The wording of a message, with places for the code, the shop and the minutes.
public struct SMSTemplate: Sendable {
    private enum Part: Sendable {
        case text(String)
        case code, shop, minutes
    }

    private let parts: [Part]

    /// Checks the places: `{code}` once, `{shop}` and `{minutes}` as wanted; and the worst case: 1 segment of GSM-7 or 2 of UCS-2.
    public init(_ text: String, longestCode: Int = 10, longestShop: String = "Example Shop Ltd") throws(TemplateError) {
        var parts: [Part] = []
        var literal = ""
        var rest = Substring(text)
        while let character = rest.first {
            guard character == "{" else {
                literal.append(character)
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                throw TemplateError(description: "a `{` has no `}`; places are {code}, {shop} and {minutes}")
            }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
            switch rest[rest.index(after: rest.startIndex)..<end] {
            case "code": parts.append(.code)
            case "shop": parts.append(.shop)
            case "minutes": parts.append(.minutes)
            case let other:
                throw TemplateError(description: "unknown place {\(other)}; places are {code}, {shop} and {minutes}")
            }
            rest = rest[rest.index(after: end)...]
        }
        if !literal.isEmpty { parts.append(.text(literal)) }
        let codes = parts.filter { part in
            if case .code = part { true } else { false }
        }
        guard codes.count == 1 else { throw TemplateError(description: "the place {code} must stand exactly once") }
        guard !text.contains("\n") else { throw TemplateError(description: "a text is one line; the last line is otpd's") }
        self.parts = parts
        let worst = SegmentCount(
            of: render(
                code: String(repeating: "8", count: longestCode), shop: longestShop, minutes: 10,
                client: .android(appHash: "FA+9qCX9VSu")))
        guard worst.segments <= (worst.encoding == .gsm7 ? 1 : 2) else {
            throw TemplateError(
                description: "it can take \(worst.segments) segments of \(worst.encoding); shorten it, "
                    + "and keep to GSM 03.38 characters")
        }
    }

    /// The message's text.
    public func render(code: String, shop: String, minutes: Int, client: ReceivingClient) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .code: text += code
            case .shop: text += shop
            case .minutes: text += String(minutes)
            }
        }
        switch client {
        case .none: return text
        case .web(let host): return text + "\n@\(host) #\(code)"
        case .android(let hash): return text + "\n\(hash)"
        }
    }
}
