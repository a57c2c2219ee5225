import Testing
import Wire

@testable import Engine

/// Records are read back as they were written, in the order of bytes that SCHEMA.md states, and never beyond their end.
@Suite struct RecordBufferTests {
    @Test func integersAreBigEndian() {
        let record = RecordBuffer()
        record.put(UInt8(0x01))
        record.put(UInt16(0x0203))
        record.put(UInt32(0x0405_0607))
        record.put(ms: 0x0809_0A0B_0C0D)
        record.put(UInt64(0x0E0F_1011_1213_1415))
        record.put(Bytes16(high: 0x1617_1819_1A1B_1C1D, low: 0x1E1F_2021_2223_2425))
        record.put(InlineBytes<4>("ab"))
        let bytes = record.withBytes { Array($0) }
        #expect(bytes == Array(1...0x25) + [2, 0x61, 0x62])
        #expect(record.u8() == 0x01 && record.u16() == 0x0203 && record.u32() == 0x0405_0607)
        #expect(record.ms() == 0x0809_0A0B_0C0D && record.u64() == 0x0E0F_1011_1213_1415)
        #expect(record.bytes16() == Bytes16(high: 0x1617_1819_1A1B_1C1D, low: 0x1E1F_2021_2223_2425))
        #expect(record.blob() == InlineBytes<4>("ab") && record.isWhole)
    }

    /// The bytes behind a short record are those of a longer one before it: they must not be read as its own.
    @Test(arguments: [2, 4, 6, 8]) func aRecordThatIsTooShortIsDamaged(_ width: Int) {
        let record = RecordBuffer()
        _ = record.fill { place in
            for index in 0..<place.count { place[index] = 0xFF }
            return width - 1
        }
        let value: UInt64 =
            switch width {
            case 2: UInt64(record.u16())
            case 4: UInt64(record.u32())
            case 6: record.ms()
            default: record.u64()
            }
        #expect(value == 0 && record.isDamaged && !record.isWhole)
    }

    @Test func theLastWordOfAFullRecordIsRead() {
        let record = RecordBuffer()
        _ = record.fill { place in
            #expect(place.count == RecordBuffer.capacity)
            for index in 0..<place.count { place[index] = UInt8(truncatingIfNeeded: index) }
            return place.count
        }
        for _ in 0..<RecordBuffer.capacity / 2 - 1 { _ = record.u16() }
        #expect(record.u16() == UInt16(1_898 & 0xFF) << 8 | UInt16(1_899 & 0xFF) && record.isWhole)
        #expect(record.u8() == 0 && record.isDamaged)
    }
}
