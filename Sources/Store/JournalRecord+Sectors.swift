import LibCrypto

/// A stamp in the last four bytes of each sector, as NTFS has them ("fix-ups"): it tells a record that was
/// never written to its end, a tear, from one that was, and has changed since, which is rot.
///
/// What stood where the stamps go is kept behind the tag, word by word; these words leave the stamps' places
/// out. CRC and AEAD are over the bytes as they were before.
extension JournalRecord {
    static let stampBytes = 4
    static let stampOffset = alignment - stampBytes
    private static let wordsPerSector = stampOffset / stampBytes

    /// Header, payload and tag in whole words.
    static func contentBytes(_ payloadBytes: Int) -> Int {
        (headerBytes + payloadBytes + AEAD.tagBytes + stampBytes - 1) / stampBytes * stampBytes
    }

    /// Bytes on disk. A displaced word takes the place that its stamp took, so only the words before the
    /// stamps count.
    static func padded(_ payloadBytes: Int) -> Int {
        (contentBytes(payloadBytes) + stampOffset - 1) / stampOffset * alignment
    }

    /// The largest payload of a record of `bytes` on disk.
    static func payloadFitting(_ bytes: Int) -> Int {
        bytes / alignment * stampOffset - headerBytes - AEAD.tagBytes
    }

    /// The first sector's stamp: known before the record is. Never zero, as sectors are that were never
    /// written.
    static func firstStamp(uuid: (UInt64, UInt64), segment: UInt64, sequence: UInt64) -> UInt32 {
        let words = (uuid.0.bigEndian, uuid.1.bigEndian, segment.bigEndian, sequence.bigEndian)
        return neverZero(withUnsafeBytes(of: words) { CRC32C.update(0, $0) })
    }

    /// The stamp of the other sectors. The next start may try the same sequence at the same place: its
    /// header's check is another.
    static func laterStamp(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        neverZero(bytes.u32(headerCheckOffset))
    }

    private static func neverZero(_ stamp: UInt32) -> UInt32 { stamp == 0 ? .max : stamp }

    /// Where the word is that the stamp of sector `index` displaces; `content` bytes are the record's own.
    private static func displaced(_ index: Int, _ content: Int) -> Int {
        let word = content / stampBytes - content / alignment + index
        return word / wordsPerSector * alignment + word % wordsPerSector * stampBytes
    }

    /// Stamps a record that is whole but for this; what follows its tag is zero.
    static func putStamps(_ record: UnsafeMutableRawBufferPointer, payloadBytes: Int, first: UInt32) {
        let (view, content) = (UnsafeRawBufferPointer(record), contentBytes(payloadBytes))
        let later = laterStamp(view)
        for index in 0..<record.count / alignment {
            let place = index * alignment + stampOffset
            if place < content { record.set(displaced(index, content), view.u32(place)) }
            record.set(place, index == 0 ? first : later)
        }
    }

    /// The stamps alone, of a whole record in which one has changed.
    static func mendStamps(_ record: UnsafeMutableRawBufferPointer, _ header: Header, first: UInt32) {
        let later = laterStamp(UnsafeRawBufferPointer(record))
        for index in 0..<header.paddedBytes / alignment {
            record.set(index * alignment + stampOffset, index == 0 ? first : later)
        }
    }

    /// Whether all sectors of the record were written when it was: each bears its stamp. `raw` is the
    /// record's, padding included.
    static func bearsItsStamps(_ raw: UnsafeRawBufferPointer, _ header: Header) -> Bool {
        let first = firstStamp(uuid: header.uuid, segment: header.segment, sequence: header.sequence)
        let later = laterStamp(raw)
        return (0..<header.paddedBytes / alignment).allSatisfy { index in
            raw.u32(index * alignment + stampOffset) == (index == 0 ? first : later)
        }
    }

    /// `crc` of a record with its stamps.
    static func stampedCRC(_ raw: UnsafeRawBufferPointer, _ header: Header) -> UInt32 {
        var crc = upToCRC(raw)
        forEachPiece(header, from: crcOffset + stampBytes) { crc = CRC32C.update(crc, raw.slice($0, $1)) }
        return crc
    }

    /// Payload and tag as they were sealed, into `out`.
    static func copySealed(
        _ raw: UnsafeRawBufferPointer, _ header: Header, into out: UnsafeMutableRawBufferPointer
    ) {
        var done = 0
        forEachPiece(header, from: headerBytes) { offset, count in
            out.copy(done, raw.slice(offset, count))
            done += count
        }
    }

    /// The tag of a whole record.
    static func tag(_ raw: UnsafeRawBufferPointer, _ header: Header) -> (UInt64, UInt64) {
        var (high, low): (UInt64, UInt64) = (0, 0)
        forEachPiece(header, from: header.sealedBytes - AEAD.tagBytes) { offset, count in
            for index in offset..<offset + count {
                high = high << 8 | low >> 56
                low = low << 8 | UInt64(raw[index])
            }
        }
        return (high, low)
    }

    /// Offset and length on disk of each piece of the record from `start` to its tag's end, in order.
    static func forEachPiece(_ header: Header, from start: Int, _ body: (Int, Int) -> Void) {
        let (end, content) = (header.sealedBytes, contentBytes(Int(header.payloadBytes)))
        guard header.format == format else { return body(start, end - start) }
        var at = start
        while at < end {
            let (sector, inSector) = (at / alignment, at % alignment)
            if inSector < stampOffset {
                let count = min(end, sector * alignment + stampOffset) - at
                body(at, count)
                at += count
            } else {
                let count = min(end, (sector + 1) * alignment) - at
                body(displaced(sector, content) + inSector - stampOffset, count)
                at += count
            }
        }
    }
}
