import Wire

/// A message on its way. It holds no code and no number: both come from the challenge when it is pushed.
struct OutboxRecord {
    static let schema: UInt8 = 1

    enum State: UInt8 {
        case queued = 1
        case leased = 2
        case submitted = 3
        case delivered = 4
        case failed = 5
    }

    var state = State.queued
    var tenant: UInt32 = 0
    var generation: UInt8 = 1
    /// Leases given so far.
    var attempts: UInt8 = 0
    /// Of the newest lease.
    var token = Bytes16.zero
    var leaseUntil: UInt64 = 0
    /// No lease before it.
    var notBefore: UInt64 = 0
    /// No submit after it.
    var expiresAt: UInt64 = 0

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: inout RecordBuffer) {
        record.schema(OutboxRecord.schema)
        guard let state = State(rawValue: record.u8()) else { return nil }
        self.state = state
        tenant = record.u32()
        generation = record.u8()
        attempts = record.u8()
        token = record.bytes16()
        leaseUntil = record.ms()
        notBefore = record.ms()
        expiresAt = record.ms()
        if !record.isWhole { return nil }
    }

    func encode(into record: inout RecordBuffer) {
        record.clear()
        record.put(OutboxRecord.schema)
        record.put(state.rawValue)
        record.put(tenant)
        record.put(generation)
        record.put(attempts)
        record.put(token)
        record.put(ms: leaseUntil)
        record.put(ms: notBefore)
        record.put(ms: expiresAt)
    }
}
