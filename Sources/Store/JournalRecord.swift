import LibCrypto

/// The frame of a journal record: a clear, authenticated header with a checksum of its own, the sealed
/// payload, its tag, the words that the sectors' stamps displace; padded to sectors.
/// `JournalRecord+Sectors.swift` has the stamps, `JournalRecord+First.swift` format 1.
enum JournalRecord {
    static let magic: UInt32 = 0x4F54_504A  // "OTPJ"
    static let format: UInt16 = 2
    static let headerBytes = 128
    /// A sector: what a disk writes whole or not at all.
    static let alignment = 512
    static let maxPayloadBytes = 1 << 20
    static let crcOffset = 76
    static let segmentSectorsOffset = 120
    static let headerCheckOffset = 124

    struct Header {
        var format = JournalRecord.format
        var uuid: (UInt64, UInt64)
        var segment: UInt64
        var sequence: UInt64
        var previousTag: (UInt64, UInt64)
        var payloadBytes: UInt32
        var dataKey: UInt32
        var nonce: UInt64
        var epoch: UInt32
        var clock: StoreClock
        /// Bytes of the segment's file, preallocated; 0 = not said, in format 1.
        var segmentBytes: Int

        /// Bytes on disk.
        var paddedBytes: Int {
            format == JournalRecord.format
                ? JournalRecord.padded(Int(payloadBytes))
                : JournalRecord.paddedInFirstFormat(Int(payloadBytes))
        }

        /// Header, payload and tag.
        var sealedBytes: Int { JournalRecord.headerBytes + Int(payloadBytes) + AEAD.tagBytes }
    }

    /// Everything but the record's CRC, which comes last and counts as zero.
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
        out.set(segmentSectorsOffset, UInt32(h.segmentBytes / alignment))
        out.set(headerCheckOffset, headerCheck(UnsafeRawBufferPointer(out)))
    }

    /// The header if `bytes` begin with a whole record of ours: its CRC is right over header, payload and
    /// tag.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard let header = header(bytes) else { return parseFirstFormat(bytes) }
        guard bytes.count >= header.paddedBytes, stampedCRC(bytes, header) == bytes.u32(crcOffset) else {
            return nil
        }
        return header
    }

    /// The header if its own checksum is right: what it says, its length too, can be believed, whatever
    /// became of the rest.
    static func header(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard bytes.count >= headerBytes, bytes.u32(0) == magic, bytes.u16(4) == format,
            bytes.u32(headerCheckOffset) == headerCheck(bytes), bytes.u32(56) <= maxPayloadBytes
        else { return nil }
        return fields(bytes)
    }

    /// The header's check is right if the format is taken for today's: another one was written there since.
    static func isOursButForItsFormat(_ bytes: UnsafeRawBufferPointer) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: headerBytes, alignment: 8) { copy in
            copy.copy(0, bytes.slice(0, headerBytes))
            copy.set(4, format)
            return header(UnsafeRawBufferPointer(copy)) != nil
        }
    }

    static func fields(_ bytes: UnsafeRawBufferPointer) -> Header {
        Header(
            format: bytes.u16(4), uuid: (bytes.u64(8), bytes.u64(16)), segment: bytes.u64(24),
            sequence: bytes.u64(32),
            previousTag: (bytes.u64(40), bytes.u64(48)), payloadBytes: bytes.u32(56), dataKey: bytes.u32(60),
            nonce: bytes.u64(64), epoch: bytes.u32(72),
            clock: StoreClock(
                bootID: (bytes.u64(80), bytes.u64(88)), boottimeMs: bytes.u64(96), engineMs: bytes.u64(104),
                wallMs: bytes.u64(112)),
            segmentBytes: Int(bytes.u32(segmentSectorsOffset)) * alignment)
    }

    /// Over the header up to its check, with a zero CRC field. It differs from one attempt at a record to the
    /// next, because data key and nonce do.
    static func headerCheck(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        CRC32C.update(upToCRC(bytes), bytes.slice(crcOffset + 4, headerCheckOffset - crcOffset - 4))
    }

    /// Over the header with a zero CRC field, the payload and the tag, none of them displaced.
    static func crc(_ bytes: UnsafeRawBufferPointer, payloadBytes: Int) -> UInt32 {
        let rest = headerBytes + payloadBytes + AEAD.tagBytes - crcOffset - 4
        return CRC32C.update(upToCRC(bytes), bytes.slice(crcOffset + 4, rest))
    }

    /// Of the bytes before the CRC field and of the field, which counts as zero.
    static func upToCRC(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let zero: UInt32 = 0
        let crc = CRC32C.update(0, bytes.slice(0, crcOffset))
        return withUnsafeBytes(of: zero) { CRC32C.update(crc, $0) }
    }

    /// The associated data: the header with a zero CRC field, in `scratch` of `headerBytes`.
    static func aad(_ bytes: UnsafeRawBufferPointer, _ scratch: UnsafeMutableRawBufferPointer)
        -> UnsafeRawBufferPointer
    {
        scratch.copy(0, bytes.slice(0, headerBytes))
        scratch.set(crcOffset, UInt32(0))
        return UnsafeRawBufferPointer(scratch).slice(0, headerBytes)
    }

    /// Twelve bytes: four zero, the counter.
    static func withNonce<R>(_ counter: UInt64, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let words = (
            UInt32(0), UInt32(truncatingIfNeeded: counter >> 32).bigEndian,
            UInt32(truncatingIfNeeded: counter).bigEndian
        )
        return withUnsafeBytes(of: words) { body($0) }
    }
}
