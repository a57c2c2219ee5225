import LibCrypto
import Testing

/// AES-256-GCM against published vectors, and what it must refuse.
@Suite struct AEADTests {
    struct Vector: Sendable {
        let name: String
        let key, nonce, aad, plaintext, sealed: [UInt8]

        init(_ name: String, key: String, nonce: String, aad: String = "", text: String = "", sealed: String)
        {
            self.name = name
            self.key = hex(key)
            self.nonce = hex(nonce)
            self.aad = hex(aad)
            plaintext = hex(text)
            self.sealed = hex(sealed)
        }
    }

    private static let specKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
    private static let specText = """
        d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
        1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39
        """
    private static let specCiphertext = """
        522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
        8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
        """

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: the cases with a 256-bit key and
    /// a 96-bit nonce; then two of NIST's CAVP `gcmEncryptExtIV256`.
    static let vectors = [
        Vector(
            "test case 13", key: String(repeating: "00", count: 32),
            nonce: String(repeating: "00", count: 12),
            sealed: "530f8afbc74536b9a963b4f1c4cb738b"),
        Vector(
            "test case 14", key: String(repeating: "00", count: 32),
            nonce: String(repeating: "00", count: 12),
            text: String(repeating: "00", count: 16),
            sealed: "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919"),
        Vector(
            "test case 15", key: specKey, nonce: "cafebabefacedbaddecaf888", text: specText + "1aafd255",
            sealed: specCiphertext + "898015ad b094dac5d93471bdec1a502270e3cc6c"),
        Vector(
            "test case 16", key: specKey, nonce: "cafebabefacedbaddecaf888",
            aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2", text: specText,
            sealed: specCiphertext + "76fc6ece0f4e1768cddf8853bb2d551b"),
        Vector(
            "CAVP, nothing but the tag",
            key: "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
            nonce: "516c33929df5a3284ff463d7", sealed: "bdc1ac884d332457a1d2664f168c76f0"),
        Vector(
            "CAVP, one block", key: "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22",
            nonce: "0d18e06c7c725ac9e362e1ce", text: "2db5168e932556f8089a0622981d017d",
            sealed: "fa4362189661d163fcd6a56d8bf0405a d636ac1bbedd5cc3ee727dc2ab4a9489"),
    ]

    static func cipher(_ key: [UInt8]) -> AEAD {
        key.withUnsafeBytes { AEAD(SecretBytes(copying: $0)) }
    }

    static func seal(_ cipher: AEAD, nonce: [UInt8], aad: [UInt8], _ plaintext: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0xEE, count: plaintext.count + AEAD.tagBytes)
        output.withUnsafeMutableBytes { out in
            nonce.withUnsafeBytes { nonce in
                aad.withUnsafeBytes { aad in
                    plaintext.withUnsafeBytes {
                        cipher.seal(nonce: nonce, aad: aad, plaintext: $0, into: out)
                    }
                }
            }
        }
        return output
    }

    static func open(_ cipher: AEAD, nonce: [UInt8], aad: [UInt8], _ sealed: [UInt8]) throws -> [UInt8] {
        var output = [UInt8](repeating: 0xEE, count: max(0, sealed.count - AEAD.tagBytes))
        let count = try output.withUnsafeMutableBytes { out in
            try nonce.withUnsafeBytes { nonce in
                try aad.withUnsafeBytes { aad in
                    try sealed.withUnsafeBytes {
                        try cipher.open(nonce: nonce, aad: aad, sealed: $0, into: out)
                    }
                }
            }
        }
        return Array(output.prefix(count))
    }

    @Test(arguments: vectors) func published(_ vector: Vector) throws {
        let cipher = Self.cipher(vector.key)
        for round in 1...2 {
            let sealed = Self.seal(cipher, nonce: vector.nonce, aad: vector.aad, vector.plaintext)
            #expect(hex(sealed) == hex(vector.sealed), "\(vector.name), use \(round) of the context")
            let opened = try Self.open(cipher, nonce: vector.nonce, aad: vector.aad, vector.sealed)
            #expect(opened == vector.plaintext, "\(vector.name), use \(round) of the context")
        }
    }

    /// Every single changed byte is refused, and the same context opens the untouched one right after.
    @Test func anyChangedByteIsRefused() throws {
        let vector = Self.vectors[3]
        let cipher = Self.cipher(vector.key)
        func refused(_ what: String, nonce: [UInt8], aad: [UInt8], sealed: [UInt8]) {
            #expect(throws: CryptoError.authenticationFailed, "\(what)") {
                try Self.open(cipher, nonce: nonce, aad: aad, sealed)
            }
        }
        for flip in [0x01, 0x80, 0xFF] as [UInt8] {
            for index in vector.sealed.indices {
                var sealed = vector.sealed
                sealed[index] ^= flip
                refused(
                    "sealed byte \(index) ^ \(flip)", nonce: vector.nonce, aad: vector.aad, sealed: sealed)
            }
            for index in vector.aad.indices {
                var aad = vector.aad
                aad[index] ^= flip
                refused("AAD byte \(index) ^ \(flip)", nonce: vector.nonce, aad: aad, sealed: vector.sealed)
            }
            for index in vector.nonce.indices {
                var nonce = vector.nonce
                nonce[index] ^= flip
                refused("nonce byte \(index) ^ \(flip)", nonce: nonce, aad: vector.aad, sealed: vector.sealed)
            }
        }
        #expect(
            try Self.open(cipher, nonce: vector.nonce, aad: vector.aad, vector.sealed) == vector.plaintext)
    }

    @Test func otherLengthsAndOtherKeysAreRefused() throws {
        let vector = Self.vectors[3]
        let cipher = Self.cipher(vector.key)
        for count in 0..<AEAD.tagBytes {
            #expect(throws: CryptoError.tooShort(count)) {
                try Self.open(
                    cipher, nonce: vector.nonce, aad: vector.aad, Array(vector.sealed.prefix(count)))
            }
        }
        for count in AEAD.tagBytes..<vector.sealed.count {
            #expect(throws: CryptoError.authenticationFailed, "cut to \(count)") {
                try Self.open(
                    cipher, nonce: vector.nonce, aad: vector.aad, Array(vector.sealed.prefix(count)))
            }
        }
        let attempts: [(AEAD, [UInt8], [UInt8])] = [
            (cipher, vector.aad, vector.sealed + [0]), (cipher, vector.aad + [0], vector.sealed),
            (cipher, vector.aad.dropLast(), vector.sealed), (cipher, [], vector.sealed),
            (Self.cipher([UInt8](repeating: 1, count: 32)), vector.aad, vector.sealed),
        ]
        for (index, attempt) in attempts.enumerated() {
            #expect(throws: CryptoError.authenticationFailed, "attempt \(index)") {
                try Self.open(attempt.0, nonce: vector.nonce, aad: attempt.1, attempt.2)
            }
        }
    }

    /// The journal seals its payload where it lies.
    @Test func inPlace() throws {
        let vector = Self.vectors[2]
        let cipher = Self.cipher(vector.key)
        var buffer = vector.plaintext + [UInt8](repeating: 0, count: AEAD.tagBytes)
        try vector.nonce.withUnsafeBytes { nonce in
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            try buffer.withUnsafeMutableBytes { raw in
                let plain = UnsafeRawBufferPointer(rebasing: raw[..<vector.plaintext.count])
                cipher.seal(nonce: nonce, aad: none, plaintext: plain, into: raw)
                #expect(Array(raw) == vector.sealed)
                let count = try cipher.open(
                    nonce: nonce, aad: none, sealed: UnsafeRawBufferPointer(raw), into: raw)
                #expect(count == vector.plaintext.count)
            }
        }
        #expect(Array(buffer.prefix(vector.plaintext.count)) == vector.plaintext)
    }

    @Test func bytesAfterTheSealedOnesAreUntouched() {
        let cipher = Self.cipher(Self.vectors[0].key)
        var output = [UInt8](repeating: 0xEE, count: 3 + AEAD.tagBytes + 4)
        output.withUnsafeMutableBytes { out in
            [UInt8](repeating: 1, count: 12).withUnsafeBytes { nonce in
                [1, 2, 3].withUnsafeBytes { (plain: UnsafeRawBufferPointer) in
                    let text = UnsafeRawBufferPointer(rebasing: plain[..<3])
                    cipher.seal(nonce: nonce, aad: nonce, plaintext: text, into: out)
                }
            }
        }
        #expect(output.suffix(4) == [0xEE, 0xEE, 0xEE, 0xEE])
    }
}
