import Wire

/// What is kept of the reason that a gateway gives for a failure: gateways echo texts and numbers in their errors (P7).
enum ReasonMask {
    /// Digits of a run of four or more are `#`, whatever but letters stands between them: `48 39-20` is a code, too. Hexadecimal numbers
    /// such as SMPP's go with them; their names stay.
    static func withoutNumbers(_ text: InlineBytes<64>) -> InlineBytes<64> {
        var bytes = text.array
        var digits: [Int] = []
        for index in 0...bytes.count {
            if index < bytes.count, isDigit(bytes[index]) {
                digits.append(index)
            } else if index == bytes.count || isLetter(bytes[index]) {
                if digits.count >= 4 { for digit in digits { bytes[digit] = 0x23 } }
                digits = []
            }
        }
        return InlineBytes(bytes)
    }

    /// Where codes have letters: the code itself, whatever stands between its symbols, and each word that might be one of before a resend.
    static func withoutCode(_ text: InlineBytes<64>, _ code: CodeBytes, _ alphabet: CodeAlphabet) -> InlineBytes<64> {
        guard alphabet == .lettersAndDigits, !code.isEmpty else { return text }
        var bytes = text.array
        let symbols = bytes.indices.filter { isDigit(bytes[$0]) || isLetter(bytes[$0]) }
        for start in symbols.indices where start + code.count <= symbols.count {
            let part = symbols[start..<start + code.count]
            let isCode = zip(part, 0..<code.count).allSatisfy { capital(bytes[$0]) == code[$1] }
            let isWord = part.last.map { $0 - symbols[start] == code.count - 1 } ?? false
            let isWhole = (start == 0 || symbols[start - 1] < symbols[start] - 1)
                && (start + code.count == symbols.count || symbols[start + code.count] > symbols[start] + code.count)
            guard isCode || (isWord && isWhole && part.allSatisfy { isSymbol(bytes[$0], alphabet) }) else { continue }
            for index in part { bytes[index] = 0x23 }
        }
        return InlineBytes(bytes)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(capital(byte)) }
    private static func capital(_ byte: UInt8) -> UInt8 { (0x61...0x7A).contains(byte) ? byte - 0x20 : byte }
    private static func isSymbol(_ byte: UInt8, _ alphabet: CodeAlphabet) -> Bool {
        alphabet.symbols.withUTF8Buffer { $0.contains(capital(byte)) }
    }
}

extension Engine {
    /// The report without the code in its reason.
    func withoutCode<S: State>(_ m: ReportMessage, _ state: inout S) -> ReportMessage {
        guard !m.reason.isEmpty, let challenge = readChallenge(m.challenge, &state),
            let alphabet = CodeAlphabet(rawValue: challenge.alphabet)
        else { return m }
        var masked = m
        let code = CodeGenerator.code(of: challenge, id: m.challenge, key: keys.code)
        masked.reason = ReasonMask.withoutCode(m.reason, code, alphabet)
        return masked
    }
}
