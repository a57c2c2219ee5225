public import Wire

/// How often codes are asked for, and refused, per caller, account, phone, challenge and client address: in memory, in tables of fixed
/// size, by whole minutes.
///
/// Not records: a refusal flood must not write, and what these counts protect (the journal, the event table, the loop's time) isn't worth
/// a sync. So they stand outside `decide`, which stays a pure function of what it is given: the server asks `admit` first and hands the
/// answer in. A restart forgets them; every limit that guards a shopper's money or account is a record and doesn't. Verify, Cancel and
/// lookups are never counted here: what they may do is bounded by records alone, and no flood of requests for codes slows them.
public struct RequestRates {
    /// RequestCode and Resend on one account, phone or challenge in a minute, refused ones too; shoppers need one in half a minute.
    public static let requestsPerMinute: UInt16 = 60
    /// Refusals on one key in a minute that have events of their own.
    public static let toldPerMinute: UInt16 = 10
    /// The same for a caller, which is a whole web tier: it bounds the events of a flood over many accounts and phones.
    public static let toldPerCallerMinute: UInt16 = 600
    /// Counting events of a minute: one for each tenant, status and limit, up to this many.
    public static let maxCounts = 32
    private static let minuteMs: UInt64 = 60_000

    /// What one request is counted on; 0 = nothing.
    public struct Keys: Sendable {
        static let (account, phone, challenge, address) = (0, 1, 2, 3)

        var tenant: UInt32
        var caller: UInt64
        var counted = InlineArray<4, UInt64>(repeating: 0)
    }

    /// What `admit` says.
    public enum Verdict: Sendable, Equatable {
        /// Decide; tell a refusal.
        case passes
        /// Decide; a refusal has no event of its own.
        case counted
        /// Don't decide.
        case refused(Refusal)
    }

    /// Refusals of a minute that had no event of their own.
    public struct Count: Sendable, Equatable {
        public var tenant: UInt32
        public var status: UInt16
        public var limit: UInt8
        public var count: UInt64
    }

    private var keys = RateTable(sets: 4_096)
    private var callers = RateTable(sets: 16)
    private var counts: [Count] = []
    private var countsDueMs: UInt64 = 0

    /// Empty, with all the memory that it will ever use: 260 KiB.
    public init() { counts.reserveCapacity(RequestRates.maxCounts) }

    /// Counts a request and says what is to be done with it.
    public mutating func admit(_ request: Keys, now: UInt64) -> Verdict {
        let minute = UInt32(truncatingIfNeeded: now / RequestRates.minuteMs)
        var isOver = false
        var isCounted = callers.cell(request.caller, minute) { $0.refusals >= RequestRates.toldPerCallerMinute }
        for index in 0..<request.counted.count where request.counted[index] != 0 {
            keys.cell(request.counted[index], minute) { cell in
                cell.ask()
                if cell.refusals >= RequestRates.toldPerMinute { isCounted = true }
                // Of a client's address only refusals count: a whole office may share it.
                if index != Keys.address, cell.requests > RequestRates.requestsPerMinute { isOver = true }
            }
        }
        guard isOver else { return isCounted ? .counted : .passes }
        let refusal = Refusal(
            .limited, limit: .requestRate, retryAfterMs: RequestRates.minuteMs - now % RequestRates.minuteMs)
        refused(request, refusal, isCounted: true, now: now)
        return .refused(refusal)
    }

    /// Counts the refusal of a request that `admit` let pass; `isCounted`: it had no event.
    public mutating func refused(_ request: Keys, _ refusal: Refusal, isCounted: Bool, now: UInt64) {
        let minute = UInt32(truncatingIfNeeded: now / RequestRates.minuteMs)
        callers.cell(request.caller, minute) { $0.refuse() }
        for index in 0..<request.counted.count where request.counted[index] != 0 {
            keys.cell(request.counted[index], minute) { $0.refuse() }
        }
        guard isCounted else { return }
        if counts.isEmpty { countsDueMs = now + RequestRates.minuteMs }
        let (tenant, status, limit) = (request.tenant, refusal.statusCode, refusal.limitCode)
        if let index = counts.firstIndex(where: { $0.tenant == tenant && $0.status == status && $0.limit == limit }) {
            counts[index].count += 1
        } else if counts.count < RequestRates.maxCounts {
            counts.append(Count(tenant: tenant, status: status, limit: limit, count: 1))
        } else {
            // More kinds than places: they share the last, which then says no more than how many.
            let last = RequestRates.maxCounts - 1
            counts[last] = Count(tenant: 0, status: 0, limit: 0, count: counts[last].count + 1)
        }
    }

    /// A minute after the first refusal that had no event: what `takeCounts` hands out is due.
    public func countsAreDue(now: UInt64) -> Bool { !counts.isEmpty && now >= countsDueMs }

    /// Hands the counts out and begins anew.
    public mutating func takeCounts() -> [Count] {
        defer { counts.removeAll(keepingCapacity: true) }
        return counts
    }
}

/// Counts by key for the current minute: four places a set, and the least used one goes when a fifth key comes. A flood of keys can so
/// push a count out, never make the table grow.
private struct RateTable {
    struct Cell {
        var key: UInt64 = 0
        var minute: UInt32 = 0
        var requests: UInt16 = 0
        var refusals: UInt16 = 0

        mutating func ask() { requests = requests == .max ? .max : requests + 1 }
        mutating func refuse() { refusals = refusals == .max ? .max : refusals + 1 }
    }

    private static let ways = 4
    private var cells: [Cell]
    private let mask: UInt64

    /// `sets`: a power of two.
    init(sets: Int) {
        precondition(sets > 0 && sets & (sets - 1) == 0, "sets are picked by a mask")
        cells = Array(repeating: Cell(), count: sets * RateTable.ways)
        mask = UInt64(sets - 1)
    }

    /// Lends the key's cell for this minute.
    @discardableResult
    mutating func cell<R>(_ key: UInt64, _ minute: UInt32, _ body: (inout Cell) -> R) -> R {
        let first = Int(key & mask) * RateTable.ways
        var index = first
        for way in first..<first + RateTable.ways {
            if cells[way].key == key {
                index = way
                break
            }
            if weight(way, minute) < weight(index, minute) { index = way }
        }
        if cells[index].key != key || cells[index].minute != minute { cells[index] = Cell(key: key, minute: minute) }
        return body(&cells[index])
    }

    /// How much would be forgotten with a cell.
    private func weight(_ index: Int, _ minute: UInt32) -> Int {
        cells[index].minute == minute ? 1 + Int(cells[index].requests) + Int(cells[index].refusals) : 0
    }
}

extension Engine {
    /// What a request for a code is counted on; `nil` for requests that aren't.
    public func rateKeys(_ request: borrowing Request, _ caller: Caller) -> RequestRates.Keys? {
        // Never 0, which stands for nothing.
        var keys = RequestRates.Keys(tenant: caller.tenant, caller: 1 << 63 | UInt64(caller.tenant) << 32 | UInt64(caller.uid))
        switch request {
        case .requestCode(let message):
            keys.counted[RequestRates.Keys.account] = accountIndex(caller.tenant, message.account).high
            keys.counted[RequestRates.Keys.phone] = phoneIndex(caller.tenant, message.phone).high
            keys.counted[RequestRates.Keys.address] = addressKey(message.clientIP)
        case .resend(let message): keys.counted[RequestRates.Keys.challenge] = message.challenge.low
        case .verify, .cancel, .status, .quota, .checkGrant, .redeemGrant, .report, .receipt: return nil
        }
        return keys
    }

    /// An IPv4 address, or the /64 of an IPv6 one.
    private func addressKey(_ address: InlineBytes<16>) -> UInt64 {
        switch address.count {
        case 4, 16:
            var key: UInt64 = 0
            for index in 0..<min(8, address.count) { key = key << 8 | UInt64(address[index]) }
            // Spread over the sets: addresses of one attacker are neighbours.
            return (key | UInt64(address.count) << 59) &* 0x9E37_79B9_7F4A_7C15
        default: return 0
        }
    }

    /// One event for each of `counts`, in the batch's commit.
    public func note<S: State>(_ counts: [RequestRates.Count], context: BatchContext, state: inout S) {
        for count in counts {
            emit(.refusalsCounted, context, &state) { event in
                event.tenant = count.tenant
                event.status = count.status
                event.limit = count.limit
                event.count = count.count
            }
        }
    }
}
