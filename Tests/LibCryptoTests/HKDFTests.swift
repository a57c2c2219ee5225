@testable import LibCrypto
import Testing

/// HKDF-SHA-256 against RFC 5869, appendix A.
@Suite struct HKDFTests {
    struct Vector: Sendable {
        let name: String
        let key, salt, info: [UInt8]
        let output: String
    }

    static let vectors = [
        Vector(
            name: "A.1", key: [UInt8](repeating: 0x0B, count: 22), salt: Array(0x00...0x0C),
            info: Array(0xF0...0xF9),
            output: """
                3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865
                """),
        Vector(
            name: "A.2", key: Array(0x00...0x4F), salt: Array(0x60...0xAF), info: Array(0xB0...0xFF),
            output: "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                + "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                + "cc30c58179ec3e87c14c01d5c1f3434f1d87"),
        Vector(
            name: "A.3", key: [UInt8](repeating: 0x0B, count: 22), salt: [], info: [],
            output: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    ]

    static func secret(_ bytes: [UInt8]) -> SecretBytes {
        SecretBytes(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    static func derive(_ key: [UInt8], salt: [UInt8] = [], info: String, count: Int) -> [UInt8] {
        HKDF.sha256(key: secret(key), salt: salt, info: info, count: count).withUnsafeBytes { Array($0) }
    }

    @Test(arguments: vectors) func rfc5869(_ vector: Vector) {
        let count = vector.output.count / 2
        let derived = HKDF.sha256(
            key: Self.secret(vector.key), salt: vector.salt, info: vector.info, count: count)
        #expect(derived.count == count)
        #expect(derived.withUnsafeBytes { hex($0) } == vector.output, "\(vector.name)")
    }

    /// The public form takes the label as text: its UTF-8 is the RFC's info.
    @Test func labelsAreTheirUTF8() {
        let key: [UInt8] = Array(0..<32)
        let label = "otpd/1/é"
        let derived = HKDF.sha256(key: Self.secret(key), salt: [], info: Array(label.utf8), count: 40)
        #expect(Self.derive(key, info: label, count: 40) == derived.withUnsafeBytes { Array($0) })
    }

    @Test func labelsKeysAndSaltsSeparate() {
        let key: [UInt8] = Array(0..<32)
        let outputs = [
            Self.derive(key, info: "otpd/1/code", count: 32),
            Self.derive(key, info: "otpd/1/index", count: 32),
            Self.derive(key, info: "", count: 32),
            Self.derive(key, salt: [1], info: "otpd/1/code", count: 32),
            Self.derive(Array(1..<33), info: "otpd/1/code", count: 32),
        ]
        #expect(Set(outputs).count == outputs.count)
    }

    /// Shorter output is a prefix of longer, over the edges of a block and up to the RFC's bound.
    @Test func lengths() {
        let key: [UInt8] = Array(0..<32)
        let longest = Self.derive(key, info: "x", count: 255 * 32)
        #expect(longest.count == 8160)
        for count in [1, 31, 32, 33, 63, 64, 65, 8159] {
            #expect(
                Self.derive(key, info: "x", count: count) == Array(longest.prefix(count)), "\(count) bytes")
        }
        #expect(longest.suffix(32) != longest.dropLast(32).suffix(32))
    }
}
