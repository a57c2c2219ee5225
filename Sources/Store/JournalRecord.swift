import LibCrypto

/// The frame of a journal record: a clear, authenticated header, the sealed payload, its tag; padded to 512 bytes.
enum JournalRecord {
    static let magic: UInt32 = 0x4F54_504A  // "OTPJ"
    static let format: UInt16 = 1
    static let headerBytes = 128
    static let alignment = 512
    /// Header, payload, tag.
    static let maxPayloadBytes = 1 << 20

    struct Header {
        var uuid: (UInt64, UInt64)
        var segment: UInt64
        var sequence: UInt64
        var previousTag: (UInt64, UInt64)
        var payloadBytes: UInt32
        var dataKey: UInt32
        var nonce: UInt64
        var epoch: UInt32
        var clock: StoreClock

        /// Bytes on disk.
        var paddedBytes: Int { JournalRecord.padded(Int(payloadBytes)) }
    }

    static func padded(_ payloadBytes: Int) -> Int {
        (headerBytes + payloadBytes + AEAD.tagBytes + alignment - 1) / alignment * alignment
    }

    /// Everything but the CRC, which comes last and counts as zero.
    static func encode(_ h: Header, into out: UnsafeMutableRawBufferPointer) {
        out.slice(0, headerBytes).initializeMemory(as: UInt8.self, repeating: 0)
        out.set(0, magic)
        out.set(4, format)
        out.set(8, h.uuid.0)
        out.set(16, h.uuid.1)
        out.set(24, h.segment)
        out.set(32, h.sequence)
        out.set(40, h.previousTag.0)
        out.set(48, h.previousTag.1)
        out.set(56, h.payloadBytes)
        out.set(60, h.dataKey)
        out.set(64, h.nonce)
        out.set(72, h.epoch)
        out.set(80, h.clock.bootID.0)
        out.set(88, h.clock.bootID.1)
        out.set(96, h.clock.boottimeMs)
        out.set(104, h.clock.engineMs)
        out.set(112, h.clock.wallMs)
    }

    static let crcOffset = 76

    /// The header if `bytes` begin with one of ours whose CRC is right over header, payload and tag; else `nil`.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard bytes.count >= headerBytes, bytes.u32(0) == magic, bytes.u16(4) == format else { return nil }
        let payload = Int(bytes.u32(56))
        guard payload <= maxPayloadBytes, bytes.count >= headerBytes + payload + AEAD.tagBytes else { return nil }
        guard crc(bytes, payloadBytes: payload) == bytes.u32(crcOffset) else { return nil }
        return Header(
            uuid: (bytes.u64(8), bytes.u64(16)), segment: bytes.u64(24), sequence: bytes.u64(32),
            previousTag: (bytes.u64(40), bytes.u64(48)), payloadBytes: UInt32(payload), dataKey: bytes.u32(60),
            nonce: bytes.u64(64), epoch: bytes.u32(72),
            clock: StoreClock(
                bootID: (bytes.u64(80), bytes.u64(88)), boottimeMs: bytes.u64(96), engineMs: bytes.u64(104),
                wallMs: bytes.u64(112)))
    }

    /// Over the header with a zero CRC field, the payload and the tag.
    static func crc(_ bytes: UnsafeRawBufferPointer, payloadBytes: Int) -> UInt32 {
        var zero: UInt32 = 0
        var crc = CRC32C.update(0, bytes.slice(0, crcOffset))
        crc = withUnsafeBytes(of: &zero) { CRC32C.update(crc, $0) }
        let rest = headerBytes + payloadBytes + AEAD.tagBytes - crcOffset - 4
        return CRC32C.update(crc, bytes.slice(crcOffset + 4, rest))
    }

    /// The associated data: the header with a zero CRC field, in `scratch` of `headerBytes`.
    static func aad(_ bytes: UnsafeRawBufferPointer, _ scratch: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
        scratch.copy(0, bytes.slice(0, headerBytes))
        scratch.set(crcOffset, UInt32(0))
        return UnsafeRawBufferPointer(scratch).slice(0, headerBytes)
    }

    /// Twelve bytes: four zero, the counter.
    static func withNonce<R>(_ counter: UInt64, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let words = (UInt32(0), UInt32(truncatingIfNeeded: counter >> 32).bigEndian, UInt32(truncatingIfNeeded: counter).bigEndian)
        return withUnsafeBytes(of: words) { body($0) }
    }
}
