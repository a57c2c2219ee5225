public import Wire

/// An event at rest: random ids only, no phone and no account.
public enum EventRecord {
    /// Schema 1 had no count.
    static let schema: UInt8 = 2

    static func encode(_ event: EventPush, into record: borrowing RecordBuffer) {
        record.clear()
        record.put(schema)
        record.put(event.kind)
        record.put(ms: event.engineTimeMs)
        record.put(ms: event.wallTimeMs)
        record.put(event.tenant)
        record.put(event.purpose)
        record.put(event.challenge)
        record.put(event.subject)
        record.put(event.status)
        record.put(event.limit)
        record.put(event.attemptsLeft)
        record.put(event.count ?? 0)
    }

    /// From a stored event: 14 bytes of key and the value. `nil` when they aren't of this schema.
    public static func decode(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> EventPush? {
        guard key.count == 14, value.count <= RecordBuffer.capacity else { return nil }
        var event = EventPush()
        event.cursor = Cursor(
            epoch: UInt32(bigEndian: key.loadUnaligned(fromByteOffset: 0, as: UInt32.self)),
            sequence: UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 4, as: UInt64.self)),
            index: UInt16(bigEndian: key.loadUnaligned(fromByteOffset: 12, as: UInt16.self)))
        let record = RecordBuffer()
        _ = record.fill { buffer in
            buffer.copyMemory(from: value)
            return value.count
        }
        let found = record.u8()
        guard found == 1 || found == schema else { return nil }
        event.kind = record.u16()
        event.engineTimeMs = record.ms()
        event.wallTimeMs = record.ms()
        event.tenant = record.u32()
        event.purpose = record.u16()
        event.challenge = record.bytes16()
        event.subject = record.bytes16()
        event.status = record.u16()
        event.limit = record.u8()
        event.attemptsLeft = record.u8()
        let count = found == 1 ? 0 : record.u64()
        event.count = count == 0 ? nil : count
        return record.isWhole ? event : nil
    }
}
