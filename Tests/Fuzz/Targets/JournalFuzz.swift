import LibCrypto

@testable import Store

/// A journal record's frame, in memory: `parse` takes exactly what a second reader, written from SCHEMA.md, takes; nothing outside of
/// the bytes is read; headers and positions survive a round trip.
/// Input: one byte of what to repair (1 = checksum, 2 = magic and format 1, 4 = magic and format 2, 8 = the header's check), then the bytes where a record may begin.
enum JournalFuzz: FuzzTarget {
    static let name = "journal"
    private static let limit = 8 << 10
    private static let memory = ScratchMemory(bytes: 3 * limit)

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count > 1, bytes.count <= limit else { return }
        // Sized to the byte at the end of the memory's first part: one byte beyond is another record's.
        let raw = memory.slice(limit - (bytes.count - 1), bytes.count - 1)
        raw.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
        repair(raw, bytes[0])
        let view = UnsafeRawBufferPointer(raw)
        let header = JournalRecord.parse(view)
        let isRecord = isRecord(view)
        try expect((header != nil) == isRecord, "parse \(header == nil ? "refused" : "took") what SCHEMA.md doesn't")
        guard let header else { return }
        try same(header, view)
        try positions(header, view)
    }

    private static func repair(_ raw: UnsafeMutableRawBufferPointer, _ what: UInt8) {
        guard raw.count >= 128 else { return }
        if what & 6 != 0 {
            for (index, byte) in [UInt8]([0x4F, 0x54, 0x50, 0x4A, 0, what & 4 != 0 ? 2 : 1]).enumerated() { raw[index] = byte }
        }
        if what & 8 != 0 { put(headerCheck(UnsafeRawBufferPointer(raw)), 124, raw) }
        if what & 1 != 0, let whole = whole(UnsafeRawBufferPointer(raw)) { put(checksum(whole), 76, raw) }
    }

    private static func put(_ value: UInt32, _ offset: Int, _ raw: UnsafeMutableRawBufferPointer) {
        for index in 0..<4 { raw[offset + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * index)) }
    }

    // MARK: the second reader

    static func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) -> UInt64 {
        (offset..<offset + count).reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
    }

    /// Header, payload and tag with the displaced words put back; `nil` when they aren't all there.
    static func whole(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        let payload = Int(number(bytes, 56, 4))
        guard payload <= 1 << 20 else { return nil }
        let end = 128 + payload + 16
        guard number(bytes, 4, 2) == 2 else { return bytes.count >= end ? Array(bytes[..<end]) : nil }
        let content = (end + 3) / 4 * 4
        let sectors = (content + 507) / 508
        guard bytes.count >= sectors * 512 else { return nil }
        var whole = Array(bytes[..<(sectors * 512)])
        var place = content
        for stamp in stride(from: 508, to: content, by: 512) {
            if place % 512 == 508 { place += 4 }
            for index in 0..<4 { whole[stamp + index] = bytes[place + index] }
            place += 4
        }
        return Array(whole[..<end])
    }

    /// CRC-32C over header without its field, payload and tag.
    static func checksum(_ whole: [UInt8]) -> UInt32 { whole.withUnsafeBytes { crc($0) } }

    /// CRC-32C over the header before its check, without the record's checksum.
    static func headerCheck(_ bytes: UnsafeRawBufferPointer) -> UInt32 { crc(UnsafeRawBufferPointer(rebasing: bytes[..<124])) }

    private static func crc(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for index in bytes.indices {
            let byte = (76..<80).contains(index) ? 0 : bytes[index]
            crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
        }
        return ~crc
    }

    /// One byte at a time, bit by bit: slower than the product's, and made another way.
    private static let table: [UInt32] = (0..<256).map { value in
        (0..<8).reduce(UInt32(value)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }

    private static func isRecord(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 128, number(bytes, 0, 4) == 0x4F54_504A else { return false }
        switch number(bytes, 4, 2) {
        case 1: break
        case 2: if UInt64(headerCheck(bytes)) != number(bytes, 124, 4) { return false }
        default: return false
        }
        return whole(bytes).map { UInt64(checksum($0)) == number(bytes, 76, 4) } ?? false
    }

    // MARK: round trips

    private static func same(_ header: JournalRecord.Header, _ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let again = memory.slice(limit, JournalRecord.headerBytes)
        JournalRecord.encode(header, into: again)
        // Reserved bytes and the checksum aren't part of the header's fields; a format is written as today's.
        for index in 0..<120 where !(4..<8).contains(index) && !(76..<80).contains(index) {
            try expect(again[index] == bytes[index], "byte \(index) of a header changes in a round trip")
        }
        let padded = header.paddedBytes
        let least = 128 + Int(header.payloadBytes) + 16
        let words = number(bytes, 4, 2) == 1 ? padded : padded / 512 * 508
        try expect(padded % 512 == 0 && words >= least && words < least + 512, "\(least) bytes are padded to \(padded)")
        let scratch = memory.slice(limit + 512, JournalRecord.headerBytes)
        let aad = JournalRecord.aad(bytes, scratch)
        try expect(aad.count == 128, "the associated data isn't the header")
        for index in 0..<128 {
            let expected = (76..<80).contains(index) ? 0 : bytes[index]
            try expect(aad[index] == expected, "byte \(index) of the header isn't authenticated")
        }
    }

    private static func positions(_ header: JournalRecord.Header, _ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let position = Position(header, bytes, at: 512 * Int(header.nonce & 0xFFFF))
        try expect(position.next - position.offset == UInt64(header.paddedBytes), "the next record begins elsewhere")
        let end = 128 + Int(header.payloadBytes)
        let whole = whole(bytes) ?? []
        let tag = whole.withUnsafeBytes { (number($0, end, 8), number($0, end + 8, 8)) }
        try expect(position.tag == tag, "the position holds another tag")
        let stored = memory.slice(limit + 1024, Position.bytes)
        position.encode(into: stored)
        try expect(Position(UnsafeRawBufferPointer(stored)) == position, "a position changes in a round trip")
    }
}
