import LibCrypto

/// Format 1: no check of the header, no stamps. It is read, so that a folder is upgraded in place, and never
/// written.
extension JournalRecord {
    static func paddedInFirstFormat(_ payloadBytes: Int) -> Int {
        (headerBytes + payloadBytes + AEAD.tagBytes + alignment - 1) / alignment * alignment
    }

    /// The header if `bytes` begin with a whole record of format 1.
    static func parseFirstFormat(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard let header = firstFormatHeader(bytes), bytes.count >= header.sealedBytes,
            crc(bytes, payloadBytes: Int(header.payloadBytes)) == bytes.u32(crcOffset)
        else { return nil }
        return header
    }

    /// What a header of format 1 says, which nothing vouches for.
    static func firstFormatHeader(_ bytes: UnsafeRawBufferPointer) -> Header? {
        guard bytes.count >= headerBytes, bytes.u32(0) == magic, bytes.u16(4) == 1,
            bytes.u32(56) <= maxPayloadBytes
        else { return nil }
        var header = fields(bytes)
        header.segmentBytes = 0
        return header
    }
}
