import LibCrypto

@testable import Store

/// A journal record's frame, in memory: `parse` takes exactly what a second reader, written from SCHEMA.md, takes; nothing outside of
/// the bytes is read; headers and positions survive a round trip.
/// Input: one byte of what to repair (1 = checksum, 2 = magic and format), then the bytes where a record may begin.
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
        if what & 2 != 0 {
            for (index, byte) in [UInt8]([0x4F, 0x54, 0x50, 0x4A, 0, 1]).enumerated() { raw[index] = byte }
        }
        if what & 1 != 0, let sum = checksum(UnsafeRawBufferPointer(raw)) {
            for index in 0..<4 { raw[76 + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index)) }
        }
    }

    // MARK: the second reader

    static func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) -> UInt64 {
        (offset..<offset + count).reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
    }

    /// CRC-32C over header without its field, payload and tag; `nil` when they aren't all there.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
        let payload = number(bytes, 56, 4)
        guard payload <= 1 << 20, bytes.count >= 128 + Int(payload) + 16 else { return nil }
        var crc: UInt32 = 0xFFFF_FFFF
        for index in 0..<(128 + Int(payload) + 16) {
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
        guard bytes.count >= 128, number(bytes, 0, 4) == 0x4F54_504A, number(bytes, 4, 2) == 1 else { return false }
        guard let sum = checksum(bytes) else { return false }
        return UInt64(sum) == number(bytes, 76, 4)
    }

    // MARK: round trips

    private static func same(_ header: JournalRecord.Header, _ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let again = memory.slice(limit, JournalRecord.headerBytes)
        JournalRecord.encode(header, into: again)
        // Reserved bytes and the checksum aren't part of the header's fields.
        for index in 0..<120 where !(6..<8).contains(index) && !(76..<80).contains(index) {
            try expect(again[index] == bytes[index], "byte \(index) of a header changes in a round trip")
        }
        let padded = header.paddedBytes
        let least = 128 + Int(header.payloadBytes) + 16
        try expect(padded % 512 == 0 && padded >= least && padded < least + 512, "\(least) bytes are padded to \(padded)")
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
        let tag = (number(bytes, end, 8), number(bytes, end + 8, 8))
        try expect(position.tag == tag, "the position holds another tag")
        let stored = memory.slice(limit + 1024, Position.bytes)
        position.encode(into: stored)
        try expect(Position(UnsafeRawBufferPointer(stored)) == position, "a position changes in a round trip")
    }
}
