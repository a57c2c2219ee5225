import LibCrypto

/// The envelope of a value in LMDB: a clear header, then AES-256-GCM over the value.
/// `schema u8 ‖ data key u32 ‖ epoch u32 ‖ expires u48 ‖ sequence u64 ‖ nonce counter u64 ‖ check u32 ‖ ciphertext ‖ tag`.
enum Envelope {
    /// Schema 1 had no check.
    static let schema: UInt8 = 2
    static let headerBytes = 35
    static let checkOffset = 31
    static let maxKeyBytes = 24
    static let overheadBytes = headerBytes + AEAD.tagBytes

    /// Of a value of one byte at least.
    static func headerBytes(_ bytes: UnsafeRawBufferPointer) -> Int { bytes[0] == 1 ? checkOffset : headerBytes }

    /// CRC-32C of table ‖ key ‖ the header before it.
    static func check(_ table: UInt8, _ key: UnsafeRawBufferPointer, _ header: UnsafeRawBufferPointer) -> UInt32 {
        let begun = withUnsafeBytes(of: table) { CRC32C.update(0, $0) }
        return CRC32C.update(CRC32C.update(begun, key), header.slice(0, checkOffset))
    }

    static func dataKey(_ bytes: UnsafeRawBufferPointer) -> UInt32 { bytes.u32(1) }
    static func epoch(_ bytes: UnsafeRawBufferPointer) -> UInt32 { bytes.u32(5) }
    static func expiresAt(_ bytes: UnsafeRawBufferPointer) -> UInt64 { bytes.u48(9) }
    static func nonce(_ bytes: UnsafeRawBufferPointer) -> UInt64 { bytes.u64(23) }

    /// table ‖ key ‖ header, into `scratch` of 64 bytes.
    static func aad(
        _ table: UInt8, _ key: UnsafeRawBufferPointer, _ header: UnsafeRawBufferPointer,
        _ scratch: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        scratch.set(0, table)
        scratch.copy(1, key)
        scratch.copy(1 + key.count, header)
        return UnsafeRawBufferPointer(scratch).slice(0, 1 + key.count + header.count)
    }
}

/// Seals values; the checkpointer's thread owns it and its nonce counter.
final class TableSealer {
    private let cipher: AEAD
    private let dataKey: UInt32
    private var nonce: UInt64 = 0
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    private let out = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)

    init(_ key: DataKey) {
        cipher = key.tableCipher()
        dataKey = key.id
    }

    deinit {
        scratch.deallocate()
        out.deallocate()
    }

    /// Valid until the next call.
    func seal(
        table: UInt8, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, epoch: UInt32, expiresAt: UInt64,
        sequence: UInt64
    ) -> UnsafeRawBufferPointer {
        nonce += 1
        out.set(0, Envelope.schema)
        out.set(1, dataKey)
        out.set(5, epoch)
        out.set48(9, expiresAt)
        out.set(15, sequence)
        out.set(23, nonce)
        let view = UnsafeRawBufferPointer(out)
        out.set(Envelope.checkOffset, Envelope.check(table, key, view))
        JournalRecord.withNonce(nonce) { nonce in
            cipher.seal(
                nonce: nonce, aad: Envelope.aad(table, key, view.slice(0, Envelope.headerBytes), scratch), plaintext: value,
                into: out.slice(Envelope.headerBytes, value.count + AEAD.tagBytes))
        }
        return view.slice(0, Envelope.overheadBytes + value.count)
    }
}

/// Opens values. The loop owns one, the checkpointer another. Ciphers of older data keys are made when first met, and the last ones are kept.
final class TableOpener {
    /// Ciphers kept, of a KiB each: a folder has a data key for each start of its life.
    static let maxCiphers = 128

    private let keyring: Keyring
    private var ciphers: [UInt32: AEAD] = [:]
    /// Whose ciphers are kept; the one at `oldest` goes for the next.
    private var kept: [UInt32] = []
    private var oldest = 0
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)

    init(_ keyring: Keyring) { self.keyring = keyring }

    deinit { scratch.deallocate() }

    /// For tests of the bound.
    var keptCiphers: Int { ciphers.count }

    /// Throws unless key and header are what was written: of a row that isn't wanted itself, where another was looked for.
    func check(
        table: UInt8, key: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        if let schema = sealed.first, schema == Envelope.schema, sealed.count >= Envelope.overheadBytes {
            guard sealed.u32(Envelope.checkOffset) == Envelope.check(table, key, sealed) else {
                throw .damaged(path: "lmdb table \(table)", detail: "a key isn't the one that was written")
            }
        } else {
            _ = try open(table: table, key: key, sealed: sealed, into: out)
        }
    }

    /// The value's length in `out`. A value that doesn't open is a storage doubt (P6).
    func open(
        table: UInt8, key: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(StoreError) -> Int {
        if let schema = sealed.first, schema > Envelope.schema {
            throw .newerFormat(path: "lmdb table \(table)", found: "envelope \(schema)")
        }
        guard let schema = sealed.first, schema > 0, case let head = Envelope.headerBytes(sealed), sealed.count >= head + AEAD.tagBytes
        else { throw .damaged(path: "lmdb table \(table)", detail: "a value isn't of a known schema") }
        guard sealed.count - head - AEAD.tagBytes <= out.count, key.count <= Envelope.maxKeyBytes else {
            throw .damaged(path: "lmdb table \(table)", detail: "a key or a value is longer than otpd ever writes")
        }
        let id = Envelope.dataKey(sealed)
        let cipher: AEAD
        if let known = ciphers[id] { cipher = known } else { cipher = try makeCipher(of: id, table) }
        let aad = Envelope.aad(table, key, sealed.slice(0, head), scratch)
        var count = -1
        JournalRecord.withNonce(Envelope.nonce(sealed)) { nonce in
            do {
                count = try cipher.open(
                    nonce: nonce, aad: aad,
                    sealed: sealed.slice(head, sealed.count - head), into: out)
            } catch { count = -1 }
        }
        guard count >= 0 else {
            throw .damaged(path: "lmdb table \(table)", detail: "a value doesn't authenticate")
        }
        return count
    }

    private func makeCipher(of id: UInt32, _ table: UInt8) throws(StoreError) -> AEAD {
        guard let key = try keyring.key(id) else {
            throw .damaged(path: "lmdb table \(table)", detail: "a value is sealed with data key \(id), which is gone")
        }
        let cipher = key.tableCipher(for: .opening)
        if kept.count < TableOpener.maxCiphers {
            kept.append(id)
        } else {
            ciphers[kept[oldest]] = nil
            kept[oldest] = id
            oldest = (oldest + 1) % TableOpener.maxCiphers
        }
        ciphers[id] = cipher
        return cipher
    }
}
