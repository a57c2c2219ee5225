import LibCrypto
import Wire

/// Codes are derived, never stored: a function of the code key, the challenge's nonce and everything the code is for.
enum CodeGenerator {
    /// The code of `challenge` at its present generation.
    ///
    /// `encode` takes 128 bits modulo alphabet^length: the bias is at most 31^10 / 2^128 < 2^-78.
    static func code(of challenge: borrowing ChallengeRecord, id: Bytes16, key: MACKey) -> CodeBytes {
        var mac = key.begin()
        mac.update(challenge.nonce)
        mac.update(id)
        mac.update(challenge.generation)
        mac.update(u32: challenge.tenant)
        mac.update(u16: challenge.purpose)
        mac.update(challenge.account)
        mac.update(challenge.phone)
        mac.update(challenge.session)
        mac.update(challenge.binding)
        let digest = mac.finish()
        var number = UInt128(digest.words.0) << 64 | UInt128(digest.words.1)
        let symbols = (CodeAlphabet(rawValue: challenge.alphabet) ?? .digits).symbols
        let base = UInt128(symbols.utf8CodeUnitCount)
        var text = InlineArray<16, UInt8>(repeating: 0)
        let length = Int(min(challenge.codeLength, 16))
        for index in 0..<length {
            text[index] = symbols.utf8Start[Int(number % base)]
            number /= base
        }
        let span = text.span
        return span.withUnsafeBytes { CodeBytes(UnsafeRawBufferPointer(rebasing: $0[0..<length])) }
    }

    /// What was typed, in the alphabet's own letters; `nil` when it can't be a code of this form.
    static func normalize(_ typed: CodeBytes, alphabet: CodeAlphabet, length: Int) -> CodeBytes? {
        guard typed.count == length else { return nil }
        var text = InlineArray<16, UInt8>(repeating: 0)
        for index in 0..<length {
            var byte = typed[index]
            if alphabet == .lettersAndDigits, byte >= 0x61, byte <= 0x7A { byte -= 0x20 }
            let known = alphabet.symbols.withUTF8Buffer { $0.contains(byte) }
            guard known else { return nil }
            text[index] = byte
        }
        let span = text.span
        return span.withUnsafeBytes { CodeBytes(UnsafeRawBufferPointer(rebasing: $0[0..<length])) }
    }

    /// Without an early exit; the lengths are public.
    static func equal(_ a: CodeBytes, _ b: CodeBytes) -> Bool {
        a.withBytes { x in b.withBytes { y in constantTimeEqual(x, y) } }
    }
}
