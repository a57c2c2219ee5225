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

    private struct Entry {
        var handle: UInt64
        var atMs: UInt64
    }

    private let responseIDs: MessageIDForm
    private let receiptIDs: MessageIDForm
    private var messages: [[UInt8]: Entry] = [:]
    private var early: [[UInt8]: (receipt: DeliveryReceipt, atMs: UInt64)] = [:]
    /// Keys of `messages` by age, with what was looked at taken off in large steps.
    private var ages: [(key: [UInt8], atMs: UInt64)] = []
    private var oldest = 0
    private var forgotten: [UInt64] = []

    package init(responseIDs: MessageIDForm, receiptIDs: MessageIDForm) {
        self.responseIDs = responseIDs
        self.receiptIDs = receiptIDs
    }

    package var count: Int { messages.count }

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
        let said = early.removeValue(forKey: key)?.receipt
        if let said, said.state.isDelivered != nil { return said }
        if messages.count >= ReceiptTable.maxMessages { dropOldest() }
        messages[key] = Entry(handle: handle, atMs: nowMs)
        ages.append((key, nowMs))
        return nil
    }

    /// Whose receipt this is; `nil` for one that nobody waits for (yet). After a final state the message is forgotten: a
    /// repeated receipt finds nothing.
    package mutating func receipt(_ receipt: DeliveryReceipt, nowMs: UInt64) -> UInt64? {
        expire(nowMs)
        // The tagged id is the response's own by the specification, but some SMSCs put the text's there.
        var keys = receipt.taggedID.map { [responseIDs.key($0), receiptIDs.key($0)] } ?? []
        if let textID = receipt.textID { keys.append(receiptIDs.key(textID)) }
        for key in keys {
            guard let entry = messages[key] else { continue }
            if receipt.state.isDelivered != nil { messages[key] = nil }
            return entry.handle
        }
        if receipt.state.isDelivered != nil, early.count < ReceiptTable.maxEarly, let key = keys.last {
            early[key] = (receipt, nowMs)
        }
        return nil
    }

    private mutating func expire(_ nowMs: UInt64) {
        while oldest < ages.count, ages[oldest].atMs + ReceiptTable.keepMs <= nowMs { dropOldest() }
        if early.count > 0 { early = early.filter { $0.value.atMs + ReceiptTable.keepEarlyMs > nowMs } }
    }

    /// Forgets the oldest message that is still there.
    private mutating func dropOldest() {
        while oldest < ages.count {
            let age = ages[oldest]
            oldest += 1
            // The same id may have been given again since.
            if let entry = messages[age.key], entry.atMs == age.atMs {
                messages[age.key] = nil
                forgotten.append(entry.handle)
                break
            }
        }
        if oldest > 4_096, oldest > ages.count / 2 {
            ages.removeFirst(oldest)
            oldest = 0
        }
    }
}
