/// How a locale writes an amount: CLDR's signs, grouping and order, with Latin digits, because the code has them too, and the currency's ISO 4217 code,
/// because most symbols aren't in GSM 03.38 and `$` is many currencies.
public struct AmountStyle: Sendable, Equatable {
    private let decimal: [UInt8]
    private let group: [UInt8]
    /// Sizes of the last group and of those before it.
    private let last: Int
    private let further: Int
    /// Digits that must stand before the first group sign.
    private let least: Int
    private let isCodeFirst: Bool

    /// The style of `locale`, or of its nearest parent that has one.
    public init(locale: String) {
        self = LocaleTag.chain(locale).lazy.compactMap { AmountStyle.known[$0] }.first ?? AmountStyle.root
    }

    /// Of the language and all its regions: what the widest amount of a text is measured with.
    static func all(of locale: String) -> [AmountStyle] {
        let language = LocaleTag.chain(locale).last ?? ""
        return known.filter { $0.key.prefix { $0 != "-" } == language }.map(\.value) + [AmountStyle(locale: locale)]
    }

    private static let root = AmountStyle(fields: LocaleData.root.split(separator: " "))
    private static let known: [String: AmountStyle] = {
        var known: [String: AmountStyle] = [:]
        for line in LocaleData.styles.split(separator: "\n") {
            let words = line.split(separator: " ")
            let style = AmountStyle(fields: words)
            for tag in words.dropFirst(6) { known[String(tag)] = style }
        }
        return known
    }()

    private init(fields: [Substring]) {
        precondition(fields.count >= 6, "LocaleData has six fields a line")
        decimal = Array(fields[0].utf8)
        group = Array((fields[1] == "_" ? " " : fields[1]).utf8)
        (last, further) = (Int(fields[2]) ?? 3, Int(fields[3]) ?? 3)
        least = Int(fields[4]) ?? 1
        isCodeFirst = fields[5] == "first"
    }

    /// Writes `amount` to the end of `text`.
    func append(_ amount: Amount, to text: inout [UInt8]) {
        if isCodeFirst {
            text.append(contentsOf: amount.currency.code.utf8)
            text.append(0x20)
        }
        var unit: UInt64 = 1
        for _ in 0..<amount.currency.digits { unit *= 10 }
        append(whole: amount.minorUnits / unit, to: &text)
        if amount.currency.digits > 0 {
            text.append(contentsOf: decimal)
            var rest = amount.minorUnits % unit
            while unit > 1 {
                unit /= 10
                text.append(0x30 + UInt8(rest / unit))
                rest %= unit
            }
        }
        if !isCodeFirst {
            text.append(0x20)
            text.append(contentsOf: amount.currency.code.utf8)
        }
    }

    private func append(whole: UInt64, to text: inout [UInt8]) {
        var (unit, count): (UInt64, Int) = (1, 1)
        while whole / unit >= 10 { (unit, count) = (unit * 10, count + 1) }
        let isGrouped = count >= last + least
        var rest = whole
        for left in stride(from: count, to: 0, by: -1) {
            if isGrouped, left < count, left >= last, (left - last) % further == 0 { text.append(contentsOf: group) }
            text.append(0x30 + UInt8(rest / unit))
            rest %= unit
            unit /= 10
        }
    }

    /// The amount as text.
    public func string(_ amount: Amount) -> String {
        var text: [UInt8] = []
        append(amount, to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
