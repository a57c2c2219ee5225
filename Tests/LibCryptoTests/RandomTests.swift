import LibCrypto
import Testing

/// The generator, and comparison in constant time.
@Suite struct RandomTests {
    static func random(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { Random.fill($0) }
        return bytes
    }

    /// Two equal blocks of 32 bytes among 2,000 would be a broken generator, not bad luck.
    @Test func blocksDiffer() {
        #expect(Set((0..<1_000).map { _ in Self.random(32) }).count == 1_000)
        let secrets = (0..<1_000).map { _ in SecretBytes.random(count: 32).withUnsafeBytes { Array($0) } }
        #expect(Set(secrets).count == 1_000)
    }

    /// Each byte of the buffer is filled: over 64 rounds none stays zero (chance 256⁻⁶⁴ each).
    @Test func everyByteIsFilled() {
        for count in [1, 15, 16, 17, 300] {
            var seen = [UInt8](repeating: 0, count: count)
            for _ in 0..<64 { for (index, byte) in Self.random(count).enumerated() { seen[index] |= byte } }
            #expect(!seen.contains(0), "\(count) bytes")
        }
    }

    @Test func nothingOutsideIsTouched() {
        var bytes = [UInt8](repeating: 0xEE, count: 48)
        bytes.withUnsafeMutableBytes { Random.fill(UnsafeMutableRawBufferPointer(rebasing: $0[16..<32])) }
        #expect(bytes[..<16].allSatisfy { $0 == 0xEE } && bytes[32...].allSatisfy { $0 == 0xEE })
        #expect(!bytes[16..<32].allSatisfy { $0 == 0xEE })
        Random.fill(UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }

    @Test(arguments: [
        ("", "", true), ("a", "a", true), ("a", "b", false), ("a", "", false), ("", "a", false),
        ("ab", "a", false),
        ("a", "ab", false), ("483920", "483920", true), ("483920", "483921", false),
        ("483920", "583920", false),
        ("\0", "", false), ("a\0b", "a\0c", false),
    ])
    func equality(_ a: String, _ b: String, _ expected: Bool) {
        let isEqual = Array(a.utf8).withUnsafeBytes { a in
            Array(b.utf8).withUnsafeBytes { constantTimeEqual(a, $0) }
        }
        #expect(isEqual == expected)
    }

    @Test func anyByteMatters() {
        let original = Array(0..<64) as [UInt8]
        for index in original.indices {
            for bit in 0..<8 {
                var other = original
                other[index] ^= 1 << bit
                let isEqual = original.withUnsafeBytes { a in
                    other.withUnsafeBytes { constantTimeEqual(a, $0) }
                }
                #expect(!isEqual, "byte \(index), bit \(bit)")
            }
        }
    }
}
