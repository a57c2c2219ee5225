import Wire

/// What became of a Resend, Verify or Cancel: enough to answer its retry without acting again.
struct Verdict: Equatable {
    /// The random part of the request id.
    var tag: UInt64 = 0
    /// Keyed digest of the whole request.
    var digest: UInt64 = 0
    var status: UInt16 = 0
    var attemptsLeft: UInt8 = 0
    var sendsLeft: UInt8 = 0
    var resendAt: UInt64 = 0
}

/// The verdicts of one challenge. Their number is bounded by the caps: 5 attempts, 5 sends, one Cancel.
struct VerdictList {
    static let capacity = 12
    private var items = InlineArray<12, Verdict>(repeating: Verdict())
    private(set) var count = 0

    init() {}

    /// The verdict of the request with this tag.
    func find(_ tag: UInt64) -> Verdict? {
        for index in 0..<count where items[index].tag == tag { return items[index] }
        return nil
    }

    mutating func append(_ verdict: Verdict) {
        precondition(count < VerdictList.capacity, "the caps of a challenge bound its verdicts")
        items[count] = verdict
        count += 1
    }

    func encode(into record: borrowing RecordBuffer) {
        record.put(UInt8(count))
        for index in 0..<count {
            record.put(items[index].tag)
            record.put(items[index].digest)
            record.put(items[index].status)
            record.put(items[index].attemptsLeft)
            record.put(items[index].sendsLeft)
            record.put(ms: items[index].resendAt)
        }
    }

    init(from record: borrowing RecordBuffer) {
        count = record.length(atMost: VerdictList.capacity)
        for index in 0..<count {
            items[index] = Verdict(
                tag: record.u64(), digest: record.u64(), status: record.u16(), attemptsLeft: record.u8(),
                sendsLeft: record.u8(), resendAt: record.ms())
        }
    }
}
