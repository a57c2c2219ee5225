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

    /// Checks the places: `{code}` once, `{shop}` and `{minutes}` as wanted; and the worst case, over every
    /// last line: 1 segment of GSM-7 or 2 of UCS-2.
    ///
    /// - Parameters:
    ///   - longestCode: characters of the longest code.
    ///   - longestShop: the shop's name as it will be rendered.
    ///   - longestHost: bytes of the longest `@host`; the protocol's field holds 60.
    public init(
        _ text: String, longestCode: Int = 10, longestShop: String = "Example Shop Ltd", longestHost: Int = 60
    ) throws(TemplateError) {
        guard !text.unicodeScalars.contains(where: SMSTemplate.isControl) else {
            throw TemplateError(
                description: "a text is one line without control characters; the last line is otpd's")
        }
        parts = try SMSTemplate.parse(text)
        let code = String(repeating: "8", count: longestCode)
        let clients: [ReceivingClient] = [
            .none, .web(host: String(repeating: "h", count: longestHost)), .android(appHash: "FA+9qCX9VSu"),
        ]
        for client in clients {
            let worst = SegmentCount(of: render(code: code, shop: longestShop, minutes: 10, client: client))
            guard worst.segments <= (worst.encoding == .gsm7 ? 1 : 2) else {
                throw TemplateError(
                    description: "it can take \(worst.segments) segments of \(worst.encoding); shorten it, "
                        + "and keep to GSM 03.38 characters")
            }
        }
    }

    private static func parse(_ text: String) throws(TemplateError) -> [Part] {
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
        return parts
    }

    /// The message's text. A line break in `shop` becomes a space, and a host or hash of impossible form gets
    /// no last line: what stands after the text must be ours alone, because browsers and apps act on it.
    public func render(code: String, shop: String, minutes: Int, client: ReceivingClient) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .code: text += code
            case .shop:
                text.unicodeScalars += shop.unicodeScalars.map { SMSTemplate.isControl($0) ? " " : $0 }
            case .minutes: text += String(minutes)
            }
        }
        switch client {
        case .web(let host) where SMSTemplate.isHost(host): return text + "\n@\(host) #\(code)"
        case .android(let hash) where SMSTemplate.isAppHash(hash): return text + "\n\(hash)"
        case .none, .web, .android: return text
        }
    }

    /// Control characters and Unicode's own line ends.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
    }

    /// A host name in ASCII. One that isn't is never repaired: it would be another host.
    private static func isHost(_ host: String) -> Bool {
        !host.isEmpty && host.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x2E }
    }

    /// 11 characters of base64.
    private static func isAppHash(_ hash: String) -> Bool {
        hash.utf8.count == 11 && hash.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2B || $0 == 0x2F }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
