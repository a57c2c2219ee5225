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
        case 0: try check(value, "challenge", { ChallengeRecord(from: &$0) }, { $0.encode(into: &$1) })
        case 1: try check(value, "phone", { PhoneRecord(from: &$0) }, { $0.encode(into: &$1) })
        case 2: try check(value, "account", { AccountRecord(from: &$0) }, { $0.encode(into: &$1) })
        case 3: try check(value, "streak", { StreakRecord(from: &$0) }, { $0.encode(into: &$1) })
        case 4: try check(value, "grant", { GrantRecord(from: &$0) }, { $0.encode(into: &$1) })
        case 5:
            try check(value, "outbox", { OutboxRecord(from: &$0) }, { $0.encode(into: &$1) })
            try due(value)
        case 6: try event(value)
        default: try check(value, "slot", { $0.wholeID() }, { $1.put($0) })
        }
    }

    private static func check<R>(
        _ value: UnsafeRawBufferPointer, _ kind: String, _ decode: (inout RecordBuffer) -> R?,
        _ encode: (R, inout RecordBuffer) -> Void
    ) throws(FuzzFailure) {
        var buffer = filled(value)
        guard let record = decode(&buffer) else { return }
        var again = RecordBuffer()
        encode(record, &again)
        // An outbox record of the first schema is written as one of the second.
        if kind == "outbox", value[0] == 1 { return }
        let problem = again.withBytes { difference($0, value) }
        if let problem { throw FuzzFailure(description: "the \(kind) record changes in a round trip: \(problem)") }
    }

    private static func filled(_ value: UnsafeRawBufferPointer) -> RecordBuffer {
        var buffer = RecordBuffer()
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
        var buffer = filled(value)
        let record = OutboxRecord(from: &buffer)
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
        var again = RecordBuffer()
        EventRecord.encode(event, into: &again)
        // A record of the first schema is written as one of the second, with no count.
        let now = value[0] == 1 ? [2] + value.dropFirst() + [UInt8](repeating: 0, count: 8) : Array(value)
        let change = again.withBytes { bytes in now.withUnsafeBytes { difference(bytes, $0) } }
        let problem = change ?? RecordKey(event.cursor).withBytes { difference($0, key) }
        if let problem { throw FuzzFailure(description: "an event changes in a round trip: \(problem)") }
    }
}

extension RecordBuffer {
    /// A slot's record: the id of its challenge.
    fileprivate mutating func wholeID() -> Bytes16? {
        let id = bytes16()
        return isWhole ? id : nil
    }
}
