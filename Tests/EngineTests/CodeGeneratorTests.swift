import LibCrypto
import Testing
import Wire

@testable import Engine

/// The code is a function of the key, the nonce and everything that the code is for.
@Suite struct CodeGeneratorTests {
    static func record() -> ChallengeRecord {
        var challenge = ChallengeRecord()
        challenge.tenant = 1
        challenge.purpose = 1
        challenge.alphabet = CodeAlphabet.lettersAndDigits.rawValue
        challenge.codeLength = 10
        challenge.nonce = Bytes32(head: Bytes16(high: 1, low: 2), tail: Bytes16(high: 3, low: 4))
        challenge.account = AccountBytes("alice1")
        challenge.phone = PhoneBytes("+33612345678")
        challenge.session = World.session(1)
        return challenge
    }

    static let id = Bytes16(high: 5, low: 6)

    func code(
        _ id: Bytes16 = id, keys: EngineKeys = World.keys,
        _ change: (inout ChallengeRecord) -> Void = { _ in }
    )
        -> String
    {
        var challenge = Self.record()
        change(&challenge)
        return CodeGenerator.code(of: challenge, id: id, key: keys.code).text
    }

    @Test func everyFieldCounts() {
        let other = EngineKeys(
            master: SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: 9) })
        let codes = [
            code(), code(keys: other), code(Bytes16(high: 5, low: 7)), code(Bytes16(high: 4, low: 6)),
            code { $0.nonce.head.high = 9 }, code { $0.nonce.tail.low = 9 }, code { $0.generation = 2 },
            code { $0.tenant = 2 }, code { $0.purpose = 2 }, code { $0.account = AccountBytes("alice2") },
            code { $0.phone = PhoneBytes("+33612345679") }, code { $0.session = World.session(2) },
            code { $0.session.tail.low = 8 }, code { $0.binding.head.high = 1 },
            code { $0.binding.tail.low = 1 },
        ]
        #expect(Set(codes).count == codes.count)
        // The same bytes in a row, cut elsewhere.
        let (one, two) = (
            code { ($0.account, $0.phone) = (AccountBytes("a+3361"), PhoneBytes("2345678")) },
            code { ($0.account, $0.phone) = (AccountBytes("a+336"), PhoneBytes("12345678")) }
        )
        #expect(one != two)
    }

    @Test func whatItIsNotAboutDoesNotCount() {
        let expected = code()
        #expect(code { ($0.attemptsUsed, $0.sends, $0.resendAt, $0.delivery) = (3, 2, 99, 4) } == expected)
        #expect(code { ($0.state, $0.expiresAt) = (.cancelled, 77) } == expected)
    }

    /// Every symbol occurs at every place, and none but the alphabet's.
    @Test(arguments: CodeAlphabet.allCases, 6...10 as ClosedRange<UInt8>)
    func theWholeAlphabet(_ alphabet: CodeAlphabet, _ length: UInt8) {
        let symbols = alphabet.symbols.withUTF8Buffer { Set($0) }
        var seen = [Set<UInt8>](repeating: [], count: Int(length))
        for number in 0..<600 as Range<UInt64> {
            let text = Array(
                code(Bytes16(high: 0, low: number)) {
                    ($0.alphabet, $0.codeLength) = (alphabet.rawValue, length)
                }.utf8)
            #expect(text.count == Int(length))
            for (place, symbol) in text.enumerated() { seen[place].insert(symbol) }
        }
        for place in seen { #expect(place == symbols) }
    }
}
