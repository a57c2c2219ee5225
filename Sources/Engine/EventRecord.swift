public import Wire

/// An event at rest: random ids only, no phone and no account.
public enum EventRecord {
    /// Schema 1 had no count; schema 2 always had one, and nothing of who asked.
    static let schema: UInt8 = 3

    /// What an event of schema 3 has beyond what all have.
    private enum Part {
        static let (count, uid, assurance, shadow, act): (UInt8, UInt8, UInt8, UInt8, UInt8) = (1, 2, 4, 8, 16)
    }

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
        var parts: UInt8 = 0
        if event.count != nil { parts |= Part.count }
        if event.uid != nil { parts |= Part.uid }
        if event.assurance != nil { parts |= Part.assurance }
        if !event.shadowLimits.isEmpty { parts |= Part.shadow }
        if !event.actor.isEmpty { parts |= Part.act }
        record.put(parts)
        if let count = event.count { record.put(count) }
        if let uid = event.uid { record.put(UInt32(clamping: uid)) }
        if let assurance = event.assurance { record.put(assurance) }
        if parts & Part.shadow != 0 { record.put(event.shadowLimits) }
        guard parts & Part.act != 0 else { return }
        record.put(event.actor)
        record.put(event.reason)
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
        let found = record.schema(upTo: schema)
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
        switch found {
        case 1: break
        case 2:
            let count = record.u64()
            event.count = count == 0 ? nil : count
        case _: readParts(record, into: &event)
        }
        return record.isWhole ? event : nil
    }

    private static func readParts(_ record: borrowing RecordBuffer, into event: inout EventPush) {
        let parts = record.u8()
        if parts & Part.count != 0 { event.count = record.u64() }
        if parts & Part.uid != 0 { event.uid = UInt64(record.u32()) }
        if parts & Part.assurance != 0 { event.assurance = record.u8() }
        if parts & Part.shadow != 0 {
            event.shadowLimits = record.blob()
            if event.shadowLimits.isEmpty { record.damage() }
        }
        if parts >= 2 * Part.act { record.damage() }
        guard parts & Part.act != 0 else { return }
        event.actor = record.blob()
        event.reason = record.blob()
        if event.actor.isEmpty { record.damage() }
    }
}
