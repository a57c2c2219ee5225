import Wire

/// What is remembered of a message's way: when it was queued, leased, taken and done, by which gateway, for how much. Times are engine
/// milliseconds, 0 = not yet.
struct MessageHistory {
    var queuedAt: UInt64 = 0
    /// The newest lease.
    var leasedAt: UInt64 = 0
    /// A gateway had it: the last word on that.
    var submittedAt: UInt64 = 0
    /// Delivered, or failed.
    var settledAt: UInt64 = 0
    /// Of the newest report that named one.
    var gateway = InlineBytes<32>()
    /// The gateway's id of the message.
    var reference = InlineBytes<64>()
    var segments: UInt8 = 0
    var priceMicros: UInt64 = 0
    var currency = InlineBytes<3>()
    /// Of the newest failure, without numbers that could be a code or a phone.
    var reason = InlineBytes<64>()
    /// The gateway of the newest failure; empty after a success.
    var failedGateway = InlineBytes<32>()

    init() {}

    init(from record: borrowing RecordBuffer) {
        queuedAt = record.ms()
        leasedAt = record.ms()
        submittedAt = record.ms()
        settledAt = record.ms()
        gateway = record.blob()
        reference = record.blob()
        segments = record.u8()
        priceMicros = record.u64()
        currency = record.blob()
        reason = record.blob()
        failedGateway = record.blob()
    }

    func encode(into record: borrowing RecordBuffer) {
        record.put(ms: queuedAt)
        record.put(ms: leasedAt)
        record.put(ms: submittedAt)
        record.put(ms: settledAt)
        record.put(gateway)
        record.put(reference)
        record.put(segments)
        record.put(priceMicros)
        record.put(currency)
        record.put(reason)
        record.put(failedGateway)
    }

    /// Takes over what a report tells besides its outcome.
    mutating func note(_ m: ReportMessage, isFailure: Bool) {
        if !m.gateway.isEmpty { gateway = m.gateway }
        if !m.reference.isEmpty { reference = m.reference }
        if let told = m.segments { segments = told }
        if let told = m.priceMicros { priceMicros = told }
        if !m.currency.isEmpty { currency = m.currency }
        reason = isFailure ? ReasonMask.withoutNumbers(m.reason) : InlineBytes()
        if !isFailure {
            failedGateway = InlineBytes()
        } else if !m.gateway.isEmpty {
            failedGateway = m.gateway
        }
    }
}
