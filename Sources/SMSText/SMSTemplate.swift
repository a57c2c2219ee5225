/// Why a template isn't taken.
public struct TemplateError: Error, Equatable, CustomStringConvertible, Sendable {
    /// What is wrong and what to write instead.
    public let description: String
    /// Where the text comes from.
    public var origin = Origin.unknown
    /// Of which kind it is to be.
    public var kind = TextKind.code

    /// The places where a text can stand.
    public enum Origin: Equatable, Sendable {
        case unknown
        /// The shop's own for all other languages.
        case standard
        /// The shop's own in the language of this tag.
        case language(String)
        /// Ours: the shop's name and the maxima are the operator's.
        case builtIn
    }

    /// With nothing known of where the text stands.
    public init(description: String) { self.description = description }
}

/// The wording of a message in one language, with places for the code, the minutes and, in a payment's, the amount and the payee. The shop's name is put in
/// when the template is made.
public struct SMSTemplate: Sendable {
    private enum Part: Sendable {
        case text([UInt8])
        case code, minutes, amount, payee
    }

    private let parts: [Part]
    /// The language, for the amounts of requests whose locale isn't of it.
    public let locale: String
    private let style: AmountStyle
    /// Shows amount and payee, and can't be rendered without.
    public let isPayment: Bool
    /// Names the shop.
    let showsShop: Bool

    /// Checks the places: `{code}` once, `{shop}` and `{minutes}` as wanted; `{amount}` and `{payee}` once each and, with a word between, before the
    /// code, or neither; and the worst case, over every last line: 1 segment of GSM-7 or 2 of UCS-2.
    public init(
        _ text: String, locale: String = "en", shop: String, maxima: TextMaxima = TextMaxima()
    ) throws(TemplateError) {
        try self.init(unmeasured: text, locale: locale, shop: shop)
        if let excess = worst(maxima).first(where: \.isTooLong) {
            throw TemplateError(description: complaint(excess, shop: shop, maxima: maxima))
        }
    }

    /// The same without the worst case.
    init(unmeasured text: String, locale: String, shop: String) throws(TemplateError) {
        guard !text.unicodeScalars.contains(where: SMSTemplate.isControl) else {
            throw TemplateError(
                description: "a text is one line without control characters; the last line is otpd's")
        }
        self.locale = locale
        style = AmountStyle(locale: locale)
        showsShop = text.contains("{shop}")
        (parts, isPayment) = try SMSTemplate.parse(text, shop: shop)
    }

    private static let places = "places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"

    private static func parse(_ text: String, shop: String) throws(TemplateError) -> ([Part], Bool) {
        var parts: [Part] = []
        var names: [Substring] = []
        var literal: [UInt8] = []
        var rest = Substring(text)
        while let character = rest.first {
            guard character == "{" else {
                literal.append(contentsOf: character.utf8)
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                throw TemplateError(description: "a `{` has no `}`; \(places)")
            }
            let name = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            names.append(name)
            guard name != "shop" else {
                for scalar in shop.unicodeScalars { literal.append(contentsOf: String(isControl(scalar) ? " " : scalar).utf8) }
                continue
            }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = []
            switch name {
            case "code": parts.append(.code)
            case "minutes": parts.append(.minutes)
            case "amount": parts.append(.amount)
            case "payee": parts.append(.payee)
            case let other: throw TemplateError(description: "unknown place {\(other)}; \(places)")
            }
        }
        if !literal.isEmpty { parts.append(.text(literal)) }
        let isPayment = try isPayment(names)
        guard !isPayment || hasWordBeforeTheCode(parts) else {
            throw TemplateError(
                description: "before {code} must stand a word, as in \"{payee}: code {code}\": a payee that is written from right to left "
                    + "would change places with the code")
        }
        return (parts, isPayment)
    }

    /// Digits right after a name of the other direction are shown on its other side; a letter between them keeps them apart.
    private static func hasWordBeforeTheCode(_ parts: [Part]) -> Bool {
        var isWord = false
        for part in parts {
            switch part {
            case .code: return isWord
            case .text(let literal): isWord = String(decoding: literal, as: UTF8.self).unicodeScalars.contains { $0.properties.isAlphabetic }
            case .minutes, .amount, .payee: isWord = false
            }
        }
        return false
    }

    /// Whether the places are a payment's: the shopper must have read what is paid to whom when the code comes.
    private static func isPayment(_ names: [Substring]) throws(TemplateError) -> Bool {
        let codes = names.indices.filter { names[$0] == "code" }
        guard codes.count == 1 else { throw TemplateError(description: "the place {code} must stand exactly once") }
        let money = names.indices.filter { names[$0] == "amount" || names[$0] == "payee" }
        if money.isEmpty { return false }
        guard money.count == 2, names[money[0]] != names[money[1]], money[1] < codes[0] else {
            throw TemplateError(description: "{amount} and {payee} must stand once each, both before {code}, or not at all")
        }
        return true
    }

    /// Writes the text to the end of `bytes`: all of the message but its last line.
    ///
    /// - Parameter locale: the request's; its region decides how the amount is written, if its language is the text's.
    public func append(code: [UInt8], minutes: Int, payment: Payment?, locale: String? = nil, to bytes: inout [UInt8]) {
        precondition((payment != nil) == isPayment, "a payment's text goes with a payment, and no other with one")
        for part in parts {
            switch part {
            case .text(let literal): bytes.append(contentsOf: literal)
            case .code: bytes.append(contentsOf: code)
            case .minutes: bytes.append(contentsOf: String(minutes).utf8)
            case .amount:
                guard let payment else { continue }
                style(for: locale).append(payment.amount, to: &bytes)
            case .payee: if let payment { bytes.append(contentsOf: payment.payee.text.utf8) }
            }
        }
    }

    private func style(for locale: String?) -> AmountStyle {
        guard let locale, LocaleTag.haveSameLanguage(locale, self.locale) else { return style }
        return AmountStyle(locale: locale)
    }

    /// The whole message as a string: for previews and tests.
    public func render(
        code: String, minutes: Int, payment: Payment? = nil, locale: String? = nil, client: ReceivingClient
    ) -> String {
        var bytes: [UInt8] = []
        let digits = Array(code.utf8)
        append(code: digits, minutes: minutes, payment: payment, locale: locale, to: &bytes)
        switch client {
        case .web(let host): LastLine.append(host: Array(host.utf8), code: digits, to: &bytes)
        case .android(let hash): LastLine.append(appHash: Array(hash.utf8), to: &bytes)
        case .none: break
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Control characters and Unicode's own line ends.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
    }
}
