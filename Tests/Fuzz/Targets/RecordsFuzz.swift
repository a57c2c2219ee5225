import Wire

@testable import Engine

/// The engine's records: any bytes are refused, or are a record that encodes to the same bytes, and never grows beyond its buffer.
/// Input: which record, then its bytes.
enum RecordsFuzz: FuzzTarget {
    static let name = "records"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard let first = bytes.first, bytes.count <= RecordBuffer.capacity + 1 else { return }
        let value = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        // Appended to, never reordered: the corpus names them by number.
        switch first % 8 {
        case 0: try check(value, "challenge", { ChallengeRecord(from: $0)?.encode(into: $1) != nil })
        case 1: try check(value, "phone", { whole($0, PhoneRecord(from: $0).encode(into: $1)) })
        case 2: try check(value, "account", { whole($0, AccountRecord(from: $0).encode(into: $1)) })
        case 3: try check(value, "streak", { StreakRecord(from: $0)?.encode(into: $1) != nil })
        case 4: try check(value, "grant", { GrantRecord(from: $0)?.encode(into: $1) != nil })
        case 5:
            try check(value, "outbox", { OutboxRecord(from: $0)?.encode(into: $1) != nil })
            try due(value)
        case 6: try event(value)
        default: try check(value, "slot", { SlotRecord(from: $0)?.encode(into: $1) != nil })
        }
    }

    /// - Parameter again: decodes the first and encodes what it read into the second; false = it was no record.
    private static func check(
        _ value: UnsafeRawBufferPointer, _ kind: String, _ again: (borrowing RecordBuffer, borrowing RecordBuffer) -> Bool
    ) throws(FuzzFailure) {
        let copy = RecordBuffer()
        guard again(filled(value), copy) else { return }
        // A record of an older schema is written as one of the newest.
        if value[0] < newest(kind) { return }
        let problem = copy.withBytes { difference($0, value) }
        if let problem { throw FuzzFailure(description: "the \(kind) record changes in a round trip: \(problem)") }
    }

    private static func newest(_ kind: String) -> UInt8 {
        switch kind {
        case "phone": PhoneRecord.schema
        case "account": AccountRecord.schema
        case "streak": StreakRecord.schema
        case "grant": GrantRecord.schema
        case "outbox": OutboxRecord.schema
        case _: 1
        }
    }

    private static func whole(_ record: borrowing RecordBuffer, _: Void) -> Bool { record.isWhole }

    private static func filled(_ value: UnsafeRawBufferPointer) -> RecordBuffer {
        let buffer = RecordBuffer()
        _ = buffer.fill { storage in
            storage.copyMemory(from: value)
            return value.count
        }
        return buffer
    }

    private static func difference(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> String? {
        guard a.count == b.count else { return "\(b.count) bytes become \(a.count)" }
        for index in 0..<a.count where a[index] != b[index] { return "byte \(index) was \(b[index]), is \(a[index])" }
        return nil
    }

    /// The courier queue takes its times from here at a start: what it takes, the record says.
    private static func due(_ value: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let buffer = filled(value)
        let record = OutboxRecord(from: buffer)
        let expected: UInt64? =
            switch record?.state {
            case .queued: record?.notBefore
            case .leased: record?.leaseUntil
            case .submitted, .delivered, .failed, nil: nil
            }
        let due = Engine.due(value: value)
        try expect(due?.notBefore == expected, "a message is due at another time than its record says")
        try expect(due == nil || due?.priority == record?.priority, "a message has another priority than its record says")
    }

    private static func event(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let key = UnsafeRawBufferPointer(rebasing: bytes.prefix(14))
        let value = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(14))
        guard let event = EventRecord.decode(key: key, value: value) else { return }
        let again = RecordBuffer()
        EventRecord.encode(event, into: again)
        // A record of an older schema is written as one of the newest.
        let change = value[0] < EventRecord.schema ? nil : again.withBytes { difference($0, value) }
        let problem = change ?? RecordKey(event.cursor).withBytes { difference($0, key) }
        if let problem { throw FuzzFailure(description: "an event changes in a round trip: \(problem)") }
    }
}
