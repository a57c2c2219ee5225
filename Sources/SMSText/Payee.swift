/// Why a payee isn't taken.
public enum PayeeError: Error, Equatable, Sendable {
    /// Nothing is left to show, or over 512 bytes came.
    case length
    /// A character that no name needs: UTS #39 doesn't recommend it for identifiers.
    case character(Unicode.Scalar)
    /// Accents piled up, doubled, or on nothing (UTS #39 §5.4).
    case marks
    /// A word of several scripts, such as Latin with Cyrillic (UTS #39 §5.2, highly restrictive).
    case mixedScripts(String)
    /// A word of another script that reads as a Latin one (UTS #39 §4, whole-script confusable).
    case looksLatin(String)
    /// More than four digits, or a word that could be a code.
    case digits(String)

    /// What is wrong, for whoever gave the name.
    public var explanation: String {
        switch self {
        case .length: "nothing to show is left of it, or it has over 512 bytes"
        case .character(let scalar): "U+\(String(scalar.value, radix: 16, uppercase: true)) isn't a letter that names need (UTS #39)"
        case .marks: "its accents are piled up, doubled or on nothing"
        case .mixedScripts(let word): "`\(word)` mixes scripts in one word"
        case .looksLatin(let word): "`\(word)` is of another script and reads as a Latin word; write it in Latin letters"
        case .digits(let text): "`\(text)` could be taken for a code or a number to call: at most four digits in a row"
        }
    }
}

/// Who is paid, as the message may show it: whoever chooses the name mustn't speak in the message's voice, hide its sense or bring in a link, a number
/// to call or a code.
///
/// The rule, in this order:
/// 1. controls, line breaks and every kind of space become one space; invisible characters (bidi, zero-width, variation selectors) go; typographic
///    quotes and dashes become plain ones; other signs become spaces, but for `' " - . , & + / ( ) ! ·`;
/// 2. dots and slashes stay before a space or between single letters (`S.p.A.`, `A/S`), else they become spaces: `Booking.com` and `1.1.1.1` can't be
///    tapped;
/// 3. letters, marks and digits must be UTS #39's recommended ones; each word is of one script, or Latin with Chinese, Japanese or Korean; a word of
///    Cyrillic, Greek or Armenian letters that all read as Latin is refused, unless the text is in such a language, or the word is short and another of
///    its script shows what it is;
/// 4. at most four digits with nothing but signs between them, and no word of six or more, whatever signs stand in it, that mixes letters and digits as
///    codes do;
/// 5. over the cap it ends in `...`.
public struct Payee: Sendable, Equatable {
    /// As it is shown; every character is one septet, or the text is UCS-2.
    public let text: String

    /// Longest name in UTF-16 units that a configuration may allow, and the shortest that leaves room for one.
    public static let lengths = 8...40
    private static let most = 512

    /// Cleans `name` for a text in `language`, cut to `maximum` UTF-16 units.
    public init(cleaning name: String, maximum: Int, language: String) throws(PayeeError) {
        precondition(Payee.lengths.contains(maximum), "the configuration's range is checked")
        guard name.utf8.count <= Payee.most else { throw .length }
        var scalars: [Unicode.Scalar] = []
        for scalar in name.unicodeScalars {
            if let kept = try Payee.fold(scalar) { scalars.append(kept) }
        }
        // Before dots and slashes become spaces, which end a word.
        try Payee.checkDigits(scalars)
        Payee.breakLinks(&scalars)
        scalars = Payee.collapse(scalars)
        try Payee.checkMarks(scalars)
        let words = scalars.split { ScriptTable.standard.scripts(of: $0) == nil }
        guard !words.isEmpty else { throw .length }
        try Payee.checkScripts(words, home: ScriptTable.home(of: language))
        text = try Payee.cut(scalars, maximum)
    }

    /// The character to show; `nil` where it shows nothing.
    private static func fold(_ scalar: Unicode.Scalar) throws(PayeeError) -> Unicode.Scalar? {
        switch scalar {
        case "'", "\"", "-", ".", ",", "&", "+", "/", "(", ")", "!", "·": return scalar
        case "\u{2018}", "\u{2019}", "\u{201B}", "\u{2032}", "\u{02BC}", "`", "´": return "'"
        case "\u{201C}", "\u{201D}", "\u{201E}", "«", "»": return "\""
        case "\u{2010}"..."\u{2015}", "\u{2212}": return "-"
        case _: break
        }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator: return " "
        case .format: return nil
        case .unassigned, .privateUse, .surrogate: throw .character(scalar)
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
            .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
            return " "
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark,
            .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
            if scalar.properties.isDefaultIgnorableCodePoint { return nil }
            guard ScriptTable.standard.scripts(of: scalar) != nil else { throw .character(scalar) }
            return scalar
        @unknown default: throw .character(scalar)
        }
    }

    private static func isPart(_ scalar: Unicode.Scalar?) -> Bool {
        guard let scalar else { return false }
        return ScriptTable.standard.scripts(of: scalar) != nil
    }

    /// Whatever a telephone makes tappable has a dot or a slash inside.
    private static func breakLinks(_ scalars: inout [Unicode.Scalar]) {
        func at(_ index: Int) -> Unicode.Scalar? { scalars.indices.contains(index) ? scalars[index] : nil }
        func isLetter(_ index: Int) -> Bool { at(index).map { isPart($0) && !isDigit($0) } ?? false }
        var broken: [Int] = []
        for index in scalars.indices where scalars[index] == "." || scalars[index] == "/" {
            let isBetweenSingles =
                isLetter(index - 1) && isLetter(index + 1) && !isPart(at(index - 2)) && !isPart(at(index + 2))
            let isAtTheEnd = scalars[index] == "." && isPart(at(index - 1)) && (at(index + 1) ?? " ") == " "
            if !isBetweenSingles, !isAtTheEnd { broken.append(index) }
        }
        for index in broken { scalars[index] = " " }
    }

    private static func collapse(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var kept: [Unicode.Scalar] = []
        for scalar in scalars where scalar != " " || (kept.last ?? " ") != " " { kept.append(scalar) }
        if kept.last == " " { kept.removeLast() }
        return Array(kept.drop { !isPart($0) })
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: true
        case _: false
        }
    }

    private static func checkMarks(_ scalars: [Unicode.Scalar]) throws(PayeeError) {
        var run = 0
        for (index, scalar) in scalars.enumerated() {
            guard isMark(scalar) else {
                run = 0
                continue
            }
            run += 1
            guard run <= 4, index > 0, isPart(scalars[index - 1]), scalars[index - 1] != scalar else { throw .marks }
        }
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .decimalNumber }

    /// Codes have six characters or more, numbers to call seven, short numbers five.
    private static func checkDigits(_ scalars: [Unicode.Scalar]) throws(PayeeError) {
        var digits = String.UnicodeScalarView()
        for scalar in scalars {
            if isDigit(scalar) {
                digits.append(scalar)
                guard digits.count <= 4 else { throw .digits(String(digits)) }
            } else if isPart(scalar) {
                digits.removeAll()
            }
        }
        for word in scalars.split(separator: " ").map({ $0.filter(isPart) }) where word.count >= 6 {
            let kinds = word.map(isDigit)
            let changes = zip(kinds, kinds.dropFirst()).count { $0 != $1 }
            let count = kinds.count { $0 }
            if changes >= 3 || (changes >= 1 && count >= 3) {
                throw .digits(String(String.UnicodeScalarView(word)))
            }
        }
    }

    private static func checkScripts(_ words: [ArraySlice<Unicode.Scalar>], home: UInt64) throws(PayeeError) {
        // Scripts of words that can't be taken for Latin ones, and short words that can.
        var shown: UInt64 = 0
        var alike: [(word: String, scripts: UInt64)] = []
        for word in words {
            let scripts = word.reduce(ScriptTable.common) { $0 & (ScriptTable.standard.scripts(of: $1) ?? 0) }
            let text = String(String.UnicodeScalarView(word))
            guard scripts != 0 else { throw .mixedScripts(text) }
            let letters = word.filter { !isDigit($0) && !isMark($0) }
            guard !letters.isEmpty, scripts & home == 0 || scripts == ScriptTable.common else { continue }
            if letters.allSatisfy({ ScriptTable.standard.looksLatin($0) }) {
                if letters.count >= 4 { throw .looksLatin(text) }
                alike.append((text, scripts))
            } else {
                shown |= scripts
            }
        }
        // Short words ("ООО", Russian for a company) are taken for what they are beside one that shows their script.
        if let word = alike.first(where: { $0.scripts & shown == 0 })?.word { throw .looksLatin(word) }
    }

    private static func cut(_ scalars: [Unicode.Scalar], _ maximum: Int) throws(PayeeError) -> String {
        let whole = String(String.UnicodeScalarView(scalars))
        guard whole.utf16.count > maximum else { return whole }
        var kept = ""
        for character in whole {
            guard kept.utf16.count + character.utf16.count <= maximum - 3 else { break }
            kept.append(character)
        }
        while let last = kept.unicodeScalars.last, !isPart(last) { kept.unicodeScalars.removeLast() }
        guard !kept.isEmpty else { throw .length }
        return kept + "..."
    }
}
