import LibCrypto
import Testing

@testable import Store

/// What stands around a value in LMDB: rows of the first schema are read as ever, and the check of the second tells a key and a header that
/// aren't the ones that were written.
@Suite struct EnvelopeTests {
    @Test func theChecksumIsCRC32C() {
        let bytes = Array("123456789".utf8)
        bytes.withUnsafeBytes {
            #expect(CRC32C.update(0, $0) == 0xE306_9283 && CRC32C.byTables(0, $0) == 0xE306_9283, "RFC 3720's own example")
        }
        var random = SystemRandomNumberGenerator()
        let many = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
        many.withUnsafeBytes { all in
            for start in 0..<9 {
                for count in 0..<150 {
                    let part = all.slice(start, count)
                    #expect(CRC32C.update(7, part) == CRC32C.byTables(7, part), "\(count) bytes from \(start)")
                    #expect(CRC32C.update(CRC32C.update(0, all.slice(0, start)), part) == CRC32C.update(0, all.slice(0, start + count)))
                }
            }
        }
    }

    @Test func rowsOfTheFirstSchemaAreRead() throws {
        let test = try TestStore()
        for number in 0..<40 { try test.put(1, TestStore.key(number * 2, 1), [UInt8(number), 1, 2]) }
        try test.commit()
        try test.checkpoint()
        try test.writeAsFirstSchema(1)
        for number in 0..<40 { #expect(try test.read(1, TestStore.key(number * 2, 1)) == [UInt8(number), 1, 2]) }
        for number in 0...40 { #expect(try test.read(1, TestStore.key(number * 2 + 1, 1)) == nil) }
        // Written again, they are of the newest.
        for number in 0..<20 { try test.put(1, TestStore.key(number * 2, 1), [9]) }
        try test.commit()
        try test.checkpoint()
        let schemas = try test.live.environment.values(1).map(\.[0])
        #expect(schemas == Array(repeating: 2, count: 20) + Array(repeating: 1, count: 20))
        #expect(try test.scan(1).map(\.value) == Array(repeating: [9], count: 20) + (20..<40).map { [$0, 1, 2] })
    }

    /// Each byte of a header, while a key beside it is looked for that was never there.
    @Test(arguments: [1, 2] as [UInt8]) func aFlippedHeaderBesideAMissingKey(_ schema: UInt8) throws {
        let test = try TestStore()
        let (key, missing) = (TestStore.key(6, 1), TestStore.key(7, 1))
        try test.put(1, key, Array("a value".utf8))
        try test.commit()
        try test.checkpoint()
        if schema == 1 { try test.writeAsFirstSchema(1) }
        let sealed = try #require(try test.live.environment.values(1).first)
        #expect(sealed[0] == schema)
        for offset in 0..<(schema == 1 ? 31 : 35) {
            var damaged = sealed
            damaged[offset] ^= 1 << UInt8(offset % 8)
            try test.live.environment.overwrite(1, key, damaged)
            try test.reopen()
            #expect(throws: StoreError.self, "byte \(offset)") { try test.read(1, missing) }
            #expect(throws: StoreError.self, "byte \(offset)") { try test.read(1, key) }
        }
        try test.live.environment.overwrite(1, key, sealed)
        try test.reopen()
        #expect(try test.read(1, missing) == nil)
    }
}

extension TestStore {
    /// Every row of a table as an otpd of before the check wrote it; opens the folder again.
    func writeAsFirstSchema(_ table: UInt8) throws {
        try sealAgain(table, try live)
        try reopen()
    }

    private func sealAgain(_ table: UInt8, _ store: Store) throws {
        let opener = TableOpener(store.keyring)
        var plain = [UInt8](repeating: 0, count: 4_096)
        var rows: [(key: [UInt8], value: [UInt8])] = []
        for (key, value) in zip(try scan(table).map(\.key), try store.environment.values(Int(table))) {
            let (id, nonce) = value.withUnsafeBytes { (Envelope.dataKey($0), Envelope.nonce($0)) }
            guard let cipher = try store.keyring.key(id)?.tableCipher() else { throw StoreError.poisoned }
            let count = try key.withUnsafeBytes { k in
                try value.withUnsafeBytes { sealed in
                    try plain.withUnsafeMutableBytes { try opener.open(table: table, key: k, sealed: sealed, into: $0) }
                }
            }
            var former = [1] + value[1..<31] + [UInt8](repeating: 0, count: count + AEAD.tagBytes)
            // A nonce of its own: the high half is never used.
            let other = nonce | 1 << 63
            withUnsafeBytes(of: other.bigEndian) { former.replaceSubrange(23..<31, with: $0) }
            let bound = [table] + key + former[0..<31]
            JournalRecord.withNonce(other) { nonce in
                bound.withUnsafeBytes { aad in
                    plain.withUnsafeBytes { plain in
                        former.withUnsafeMutableBytes {
                            cipher.seal(nonce: nonce, aad: aad, plaintext: plain.slice(0, count), into: $0.slice(31, count + AEAD.tagBytes))
                        }
                    }
                }
            }
            rows.append((key, former))
        }
        try store.environment.overwrite(Int(table), rows)
    }
}
