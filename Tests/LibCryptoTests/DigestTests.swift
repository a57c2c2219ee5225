@testable import LibCrypto
import Testing

/// `Digest32`: the same bytes by word and by index, and an equality that looks at all of them.
@Suite struct DigestTests {
    static func digest(_ bytes: [UInt8]) -> Digest32 { bytes.withUnsafeBytes { Digest32($0) } }

    @Test func wordsAreBigEndian() {
        let digest = Self.digest(Array(0..<32))
        #expect(digest.words.0 == 0x0001_0203_0405_0607)
        #expect(digest.words.1 == 0x0809_0A0B_0C0D_0E0F)
        #expect(digest.words.2 == 0x1011_1213_1415_1617)
        #expect(digest.words.3 == 0x1819_1A1B_1C1D_1E1F)
        #expect((0..<32).map { digest[$0] } == Array(0..<32))
        #expect(withUnsafeBytes(of: digest.bigEndianWords) { Array($0) } == Array(0..<32))
    }

    @Test func unalignedBytes() {
        let bytes: [UInt8] = Array(0..<40)
        bytes.withUnsafeBytes { raw in
            for offset in 0...8 {
                let digest = Digest32(UnsafeRawBufferPointer(rebasing: raw[offset..<offset + 32]))
                #expect((0..<32).allSatisfy { Int(digest[$0]) == offset + $0 }, "offset \(offset)")
            }
        }
    }

    @Test func anyBitMattersToEquality() {
        let bytes: [UInt8] = (0..<32).map { $0 &* 37 }
        let digest = Self.digest(bytes)
        #expect(digest == Self.digest(bytes))
        for bit in 0..<256 {
            var other = bytes
            other[bit / 8] ^= 1 << (bit % 8)
            #expect(digest != Self.digest(other), "bit \(bit)")
        }
        // Two differences that cancel out when words are added or XORed together.
        var swapped = bytes
        swapped.swapAt(0, 8)
        #expect(digest != Self.digest(swapped))
    }
}
