/// Which message of ours a receipt is about. Receipts may come before the answer that tells their id, hours later, twice, or never.
///
/// Bounded: what is oldest is forgotten first; a receipt for it then says nothing to anybody.
package struct ReceiptTable: Sendable {
    /// Messages that receipts are expected for: 15 minutes at 70 a second.
    static let maxMessages = 65_536
    /// Receipts that wait for their message's answer.
    static let maxEarly = 1_024
    /// Longer than the longest life of a code with its minute after it: a later receipt is about a message that nobody knows.
    static let keepMs: UInt64 = 900_000
    static let keepEarlyMs: UInt64 = 30_000
    /// Ids whose last receipt has come: a repeated one must settle nothing.
    static let maxSettled = 4_096

    private struct Entry {
        var handle: UInt64
        var atMs: UInt64
    }

    private let responseIDs: MessageIDForm
    private let receiptIDs: MessageIDForm
    private var messages: [[UInt8]: Entry] = [:]
    private var early: [[UInt8]: (receipt: DeliveryReceipt, atMs: UInt64)] = [:]
    /// Not before it is one of `early` over.
    private var earlyDueMs = UInt64.max
    private var settled: Set<[UInt8]> = []
    private var settledOrder: [[UInt8]] = []
    /// Keys of `messages` by age, with what was looked at taken off in large steps; some name messages that are settled since.
    private var ages: [(key: [UInt8], atMs: UInt64)] = []
    private var oldest = 0
    private var forgotten: [UInt64] = []

    package init(responseIDs: MessageIDForm, receiptIDs: MessageIDForm) {
        self.responseIDs = responseIDs
        self.receiptIDs = receiptIDs
    }

    package var count: Int { messages.count }
    /// What it keeps to know their order.
    package var agesKept: Int { ages.count }

    /// Messages given up since the last call: no receipt will name them.
    package mutating func takeForgotten() -> [UInt64] {
        defer { forgotten = [] }
        return forgotten
    }

    /// The SMSC took a message. Returns what an early receipt said of it.
    package mutating func accepted(id: [UInt8], handle: UInt64, nowMs: UInt64) -> DeliveryReceipt? {
        expire(nowMs)
        guard !id.isEmpty else { return nil }
        let key = responseIDs.key(id)
        // The SMSC counts anew: what it says of this id from now on is about this message.
        settled.remove(key)
        let said = early.removeValue(forKey: key)?.receipt
        if let said, said.state.isDelivered != nil {
            settle(key)
            return said
        }
        while messages.count >= ReceiptTable.maxMessages { dropHead() }
        if let former = messages.updateValue(Entry(handle: handle, atMs: nowMs), forKey: key),
            former.handle != handle
        {
            forgotten.append(former.handle)
        }
        ages.append((key, nowMs))
        if ages.count - oldest > 2 * ReceiptTable.maxMessages { dropStale() }
        return nil
    }

    /// Whose receipt this is; `nil` for one that nobody waits for (yet). After a final state the message is forgotten: a
    /// repeated receipt finds nothing.
    package mutating func receipt(_ receipt: DeliveryReceipt, nowMs: UInt64) -> UInt64? {
        expire(nowMs)
        let keys = keys(of: receipt)
        for key in keys {
            guard let entry = messages[key] else { continue }
            if receipt.state.isDelivered != nil {
                messages[key] = nil
                settle(key)
            }
            return entry.handle
        }
        if receipt.state.isDelivered != nil, early.count < ReceiptTable.maxEarly, let key = keys.first,
            !settled.contains(key)
        {
            early[key] = (receipt, nowMs)
            earlyDueMs = min(earlyDueMs, nowMs + ReceiptTable.keepEarlyMs)
        }
        return nil
    }

    /// The name that a message with this receipt has in a report.
    package func reference(of receipt: DeliveryReceipt) -> [UInt8]? { keys(of: receipt).first }
    /// It repeats one that was handled.
    package func isSettled(_ receipt: DeliveryReceipt) -> Bool {
        keys(of: receipt).contains { settled.contains($0) }
    }

    /// The text's id first: it is of the receipt's form for certain. A tag is the response's own id by the specification, but some SMSCs
    /// put the text's there, and read in the other form it may be another message's.
    private func keys(of receipt: DeliveryReceipt) -> [[UInt8]] {
        let text = receipt.textID.map { [receiptIDs.key($0)] } ?? []
        return text + (receipt.taggedID.map { [responseIDs.key($0), receiptIDs.key($0)] } ?? [])
    }

    private mutating func settle(_ key: [UInt8]) {
        guard settled.insert(key).inserted else { return }
        settledOrder.append(key)
        guard settledOrder.count > 2 * ReceiptTable.maxSettled else { return }
        for old in settledOrder.prefix(ReceiptTable.maxSettled) { settled.remove(old) }
        settledOrder.removeFirst(ReceiptTable.maxSettled)
    }

    private mutating func expire(_ nowMs: UInt64) {
        while oldest < ages.count, ages[oldest].atMs + ReceiptTable.keepMs <= nowMs { dropHead() }
        guard nowMs >= earlyDueMs else { return }
        early = early.filter { $0.value.atMs + ReceiptTable.keepEarlyMs > nowMs }
        earlyDueMs = early.values.lazy.map { $0.atMs + ReceiptTable.keepEarlyMs }.min() ?? UInt64.max
    }

    /// Takes the oldest age off, and forgets its message if that still waits.
    private mutating func dropHead() {
        let age = ages[oldest]
        oldest += 1
        // The same id may have been given again since.
        if let entry = messages[age.key], entry.atMs == age.atMs {
            messages[age.key] = nil
            forgotten.append(entry.handle)
        }
        if oldest > 4_096, oldest > ages.count / 2 {
            ages.removeFirst(oldest)
            oldest = 0
        }
    }

    /// Ages of settled messages stay until their time: at thousands a second that would be millions.
    private mutating func dropStale() {
        ages = ages[oldest...].filter { messages[$0.key]?.atMs == $0.atMs }
        oldest = 0
    }
}
