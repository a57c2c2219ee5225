import Wire

/// A message on its way. It holds no code and no number: both come from the challenge when it is pushed.
struct OutboxRecord {
    static let schema: UInt8 = 2

    enum State: UInt8 {
        case queued = 1
        case leased = 2
        case submitted = 3
        case delivered = 4
        case failed = 5

        /// As Status tells it.
        var delivery: StatusRequest.Delivery {
            switch self {
            case .queued, .leased: .queued
            case .submitted: .submitted
            case .delivered: .delivered
            case .failed: .failed
            }
        }
    }

    var state = State.queued
    var tenant: UInt32 = 0
    var generation: UInt8 = 1
    /// Leases given so far, without those that came back untried, and what was written off.
    var attempts: UInt8 = 0
    /// Attempts taken away when a submit's outcome was in doubt, so that one is left.
    var writtenOff: UInt8 = 0
    /// Of the newest lease.
    var token = Bytes16.zero
    var leaseUntil: UInt64 = 0
    /// No lease before it.
    var notBefore: UInt64 = 0
    /// No submit after it.
    var expiresAt: UInt64 = 0
    /// Another gateway was tried because the network gave up: that is done once.
    var hasFailedOver = false
    /// A gateway took it under the newest lease.
    var isTaken = false
    /// A courier said that another gateway would take it, should the network give up.
    var hasOther = false
    var priority = MessagePriority.normal
    var history = MessageHistory()

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: borrowing RecordBuffer) {
        let found = record.u8()
        guard found == 1 || found == OutboxRecord.schema, let state = State(rawValue: record.u8())
        else { return nil }
        self.state = state
        tenant = record.u32()
        generation = record.u8()
        attempts = record.u8()
        token = record.bytes16()
        leaseUntil = record.ms()
        notBefore = record.ms()
        expiresAt = record.ms()
        if found != 1 {
            let flags = record.u8()
            guard let priority = MessagePriority(rawValue: flags >> 5) else { return nil }
            self.priority = priority
            hasFailedOver = flags & 1 != 0
            isTaken = flags & 2 != 0
            hasOther = flags & 4 != 0
            writtenOff = flags >> 3 & 3
            if writtenOff > attempts { return nil }
            history = MessageHistory(from: record)
        }
        if !record.isWhole { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
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
        let flags: UInt8 = (hasFailedOver ? 1 : 0) | (isTaken ? 2 : 0) | (hasOther ? 4 : 0)
        record.put(flags | writtenOff << 3 | priority.rawValue << 5)
        history.encode(into: record)
    }
}
