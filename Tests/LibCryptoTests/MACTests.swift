import LibCrypto
import Testing

/// HMAC-SHA-256 against RFC 4231, and the ways to feed it.
@Suite struct MACTests {
    struct Vector: Sendable {
        let number: Int
        let key: [UInt8]
        let data: [UInt8]
        let mac: String
    }

    /// RFC 4231 §4.2–4.8; case 5 gives the first 16 bytes only.
    static let vectors = [
        Vector(
            number: 1, key: [UInt8](repeating: 0x0B, count: 20), data: Array("Hi There".utf8),
            mac: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        Vector(
            number: 2, key: Array("Jefe".utf8), data: Array("what do ya want for nothing?".utf8),
            mac: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        Vector(
            number: 3, key: [UInt8](repeating: 0xAA, count: 20), data: [UInt8](repeating: 0xDD, count: 50),
            mac: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        Vector(
            number: 4, key: Array(1...25), data: [UInt8](repeating: 0xCD, count: 50),
            mac: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        Vector(
            number: 5, key: [UInt8](repeating: 0x0C, count: 20), data: Array("Test With Truncation".utf8),
            mac: "a3b6167473100ee06e0c796c2955552b"),
        Vector(
            number: 6, key: [UInt8](repeating: 0xAA, count: 131),
            data: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            mac: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        Vector(
            number: 7, key: [UInt8](repeating: 0xAA, count: 131),
            data: Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. "
                    + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
            mac: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ]

    static func bytes(_ digest: Digest32) -> [UInt8] { (0..<32).map { digest[$0] } }

    static func key(_ bytes: [UInt8]) -> MACKey { bytes.withUnsafeBytes { MACKey(bytes: $0) } }

    @Test(arguments: vectors) func rfc4231(_ vector: Vector) {
        let digest = vector.data.withUnsafeBytes { Self.key(vector.key).mac($0) }
        #expect(hex(Self.bytes(digest)).hasPrefix(vector.mac), "case \(vector.number)")
        let secret = SecretBytes(count: vector.key.count) { $0.copyBytes(from: vector.key) }
        let again = vector.data.withUnsafeBytes { MACKey(secret).mac($0) }
        #expect(again == digest, "from a SecretBytes, case \(vector.number)")
    }

    /// Keys up to the block's 64 bytes are used as they are, longer ones are hashed. Expected: Python's
    /// `hmac`, an empty message.
    @Test func keyLengthsAroundTheBlock() {
        let expected = [
            63: "783cf4c2c285aa5f6de2e985a243347b9a78476a6747ca5b0f16e7c9e6ab6f6b",
            64: "b389ef8fc24e40e35b42b70221b466916836a241257699d090bc736b8ad21b98",
            65: "e400297d15af5719b8ef44afd790a1d705a4a36e4f49b69b4015c0ed86bf607f",
        ]
        for (count, mac) in expected {
            let key = Self.key([UInt8](repeating: 0x61, count: count))
            let digest = key.mac(UnsafeRawBufferPointer(start: nil, count: 0))
            #expect(hex(Self.bytes(digest)) == mac, "\(count) bytes of key")
        }
    }

    @Test func anySplitGivesTheSame() {
        let key = Self.key(Array(0..<32))
        let data = (0..<150).map { UInt8($0) }
        let whole = data.withUnsafeBytes { key.mac($0) }
        for cut in 0...data.count {
            var mac = key.begin()
            data[..<cut].withUnsafeBytes { mac.update($0) }
            data[cut...].withUnsafeBytes { mac.update($0) }
            #expect(mac.finish() == whole, "cut at \(cut)")
        }
    }

    @Test func integersGoInBigEndian() {
        let key = Self.key([1])
        var mac = key.begin()
        mac.update(0x01)
        mac.update(u16: 0x0203)
        mac.update(u32: 0x0405_0607)
        mac.update(u64: 0x0809_0A0B_0C0D_0E0F)
        #expect(mac.finish() == Array(1...15 as ClosedRange<UInt8>).withUnsafeBytes { key.mac($0) })
    }

    /// A MAC in the making is a value: two branches of it don't disturb one another, nor does the key wear
    /// out.
    @Test func copiesAreIndependent() {
        let key = Self.key([7])
        var one = key.begin()
        one.update(0x61)
        var other = one
        one.update(0x62)
        other.update(0x63)
        let (ab, ac) = (one.finish(), other.finish())
        #expect(ab == Array("ab".utf8).withUnsafeBytes { key.mac($0) })
        #expect(ac == Array("ac".utf8).withUnsafeBytes { key.mac($0) })
        #expect(ab != ac)
    }
}
