/// The texts of one kind of message in all its languages, each measured when the set is made.
public struct TextSet: Sendable {
    /// By tag in small letters; parents of an alias (`zh-tw`) stand here too.
    private var templates: [(tag: [UInt8], template: SMSTemplate)] = []
    /// What a request gets whose language isn't here.
    private let fallback: SMSTemplate

    /// The built-in texts of `kind`, or, instead of them, a shop's own.
    ///
    /// - Parameters:
    ///   - own: by locale; a shop that writes any text writes all that it sends, in as many languages as it likes.
    ///   - ownDefault: for locales that `own` doesn't have.
    ///   - locale: the tenant's, for requests that name none or one that isn't here.
    public init(
        _ kind: TextKind, own: [String: String] = [:], ownDefault: String? = nil, locale: String, shop: String, maxima: TextMaxima
    ) throws(TemplateError) {
        func refusal(_ description: String) -> TemplateError {
            var error = TemplateError(description: description)
            error.kind = kind
            return error
        }
        var made: [String: SMSTemplate] = [:]
        var standard: SMSTemplate?
        for (tag, text) in own.sorted(by: { $0.key < $1.key }) {
            guard LocaleTag.isTag(tag), let key = LocaleTag.chain(tag).first else {
                throw refusal("`\(tag)` isn't a language tag; write it as en or pt-BR")
            }
            guard made[key] == nil else {
                throw refusal("`\(tag)` is the same language as another tag here, `\(key)`: requests can't tell them apart; keep one")
            }
            made[key] = try TextSet.made([text], kind, tag, shop, maxima, .language(tag))
        }
        if let ownDefault { standard = try TextSet.made([ownDefault], kind, locale, shop, maxima, .standard) }
        if made.isEmpty, standard == nil {
            for tag in BuiltInTexts.locales {
                made[tag.lowercased()] = try TextSet.made(BuiltInTexts.forms(kind, tag), kind, tag, shop, maxima, .builtIn)
            }
            standard = made["en"]
        }
        for alias in ["zh-tw", "zh-hk", "zh-mo"] where made[alias] == nil { made[alias] = made["zh-hant"] }
        let home = LocaleTag.chain(locale).lazy.compactMap { made[$0] }.first
        guard let fallback = home ?? standard ?? made["en"] else {
            throw refusal("no text for the tenant's locale `\(locale)`: add one, or a `text` for all other languages")
        }
        self.fallback = fallback
        templates = made.map { (Array($0.key.utf8), $0.value) }
    }

    /// The fullest form that fits.
    private static func made(
        _ forms: [String], _ kind: TextKind, _ locale: String, _ shop: String, _ maxima: TextMaxima,
        _ origin: TemplateError.Origin
    ) throws(TemplateError) -> SMSTemplate {
        var refusal = "there is no such text"
        for form in forms {
            do throws(TemplateError) {
                let template = try SMSTemplate(form, locale: locale, shop: shop, maxima: maxima)
                guard template.isPayment == (kind == .payment) else {
                    throw TemplateError(
                        description: kind == .payment
                            ? "a payment's text shows {amount} and {payee}" : "only a payment's text has {amount} and {payee}")
                }
                return template
            } catch { refusal = error.description }
        }
        let place = origin == .builtIn ? "the built-in \(kind.rawValue) text in \(locale)" : "locale \(locale)"
        var error = TemplateError(description: "\(place): \(refusal)")
        (error.origin, error.kind) = (origin, kind)
        throw error
    }

    /// The text for a request's locale: its own, its parents', the tenant's. Makes no string: the data plane calls it.
    public func template(for locale: [UInt8]) -> SMSTemplate {
        var end = locale.count
        while end > 0 {
            for entry in templates where TextSet.matches(entry.tag, locale, end) { return entry.template }
            repeat { end -= 1 } while end > 0 && locale[end] != 0x2D && locale[end] != 0x5F
        }
        return fallback
    }

    /// The same by string.
    public func template(for locale: String) -> SMSTemplate {
        template(for: Array(locale.utf8))
    }

    /// ASCII letters without their case; `_` is `-`.
    private static func matches(_ tag: [UInt8], _ locale: [UInt8], _ end: Int) -> Bool {
        guard tag.count == end else { return false }
        for index in 0..<end {
            let byte = locale[index]
            let folded = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte == 0x5F ? 0x2D : byte
            if folded != tag[index] { return false }
        }
        return true
    }
}
