public import Wire

/// How often codes are asked for, and refused, per caller, account, phone, challenge and client address: in
/// memory, in tables of fixed size, by whole minutes.
///
/// Not records: a refusal flood must not write, and what these counts protect (the journal, the event table,
/// the loop's time) isn't worth a sync. So they stand outside `decide`, which stays a pure function of what
/// it is given: the server asks `admit` first and hands the answer in. A restart forgets them; every limit
/// that guards a shopper's money or account is a record and doesn't. Other writes are never refused here:
/// what they may do is bounded by records alone, and no flood of requests for codes slows them. Only their
/// refusals are counted, because each is an event.
///
/// Each class of askers has a table of its own: nothing that strangers ask makes, or pushes out, a count of a
/// higher class. Only valid requests are counted, so that nobody is charged for what isn't one.
public struct RequestRates {
    /// RequestCode and Resend on one account, phone or challenge in a minute, refused ones too; shoppers need
    /// one in half a minute.
    public static let requestsPerMinute: UInt16 = 60
    /// Refusals on one key in a minute that have events of their own.
    public static let toldPerMinute: UInt16 = 10
    /// The same for a caller, which is a whole web tier, in each table: it bounds the events of a flood over many
    /// accounts and phones. 600 in all: a month of them at this pace fits among the events that are kept, so no
    /// flood of refusals pushes out the trail.
    public static let toldPerCallerMinute: UInt16 = 120
    /// Counting events of a minute: one for each tenant, status and limit, up to this many.
    public static let maxCounts = 32
    private static let minuteMs: UInt64 = 60_000

    /// What one request is counted on; 0 = nothing. The tenant and the class are in each key.
    public struct Keys: Sendable {
        static let (account, phone, challenge, address) = (0, 1, 2, 3)

        var tenant: UInt32
        var table: Table
        var caller: UInt64 = 0
        var counted = InlineArray<4, UInt64>(repeating: 0)
    }

    /// Where a request is counted: RequestCodes by their class; Resends, whose class only the challenge
    /// tells; and other writes, whose refusals alone count.
    enum Table: Int, Sendable, CaseIterable {
        case anonymous = 0
        case firstFactor = 1
        case knownDevice = 2
        case resends = 3
        case others = 4

        var sets: Int {
            switch self {
            case .anonymous, .firstFactor, .knownDevice: 4_096
            case .resends, .others: 1_024
            }
        }
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

    /// By `Table`.
    private var keys = Table.allCases.map { RateTable(sets: $0.sets) }
    private var callers = Table.allCases.map { _ in RateTable(sets: 16) }
    private var counts: [Count] = []
    private var countsDueMs: UInt64 = 0

    /// Empty, with all the memory that it will ever use: 1 MiB.
    public init() { counts.reserveCapacity(RequestRates.maxCounts) }

    /// Counts a request and says what is to be done with it.
    public mutating func admit(_ request: Keys, now: UInt64) -> Verdict {
        let minute = UInt32(truncatingIfNeeded: now / RequestRates.minuteMs)
        let table = request.table.rawValue
        guard request.table != .others else { return isTold(request, minute) ? .passes : .counted }
        var isOver = false
        var isCounted = callers[table].refusals(request.caller, minute) >= RequestRates.toldPerCallerMinute
        for index in 0..<request.counted.count where request.counted[index] != 0 {
            keys[table].cell(request.counted[index], minute) { cell in
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

    private func isTold(_ request: Keys, _ minute: UInt32) -> Bool {
        let table = Table.others.rawValue
        guard callers[table].refusals(request.caller, minute) < RequestRates.toldPerCallerMinute else {
            return false
        }
        for index in 0..<request.counted.count where request.counted[index] != 0 {
            if keys[table].refusals(request.counted[index], minute) >= RequestRates.toldPerMinute {
                return false
            }
        }
        return true
    }

    /// Counts the refusal of a request that `admit` let pass; `isCounted`: it had no event.
    public mutating func refused(_ request: Keys, _ refusal: Refusal, isCounted: Bool, now: UInt64) {
        let minute = UInt32(truncatingIfNeeded: now / RequestRates.minuteMs)
        let table = request.table.rawValue
        callers[table].cell(request.caller, minute) { $0.refuse() }
        for index in 0..<request.counted.count where request.counted[index] != 0 {
            keys[table].cell(request.counted[index], minute) { $0.refuse() }
        }
        if isCounted {
            count(tenant: request.tenant, status: refusal.statusCode, limit: refusal.limitCode, now: now)
        }
    }

    /// Counts a refusal that has no event of its own: a lookup's, a role's, a peer's at Hello (tenant 0).
    public mutating func count(tenant: UInt32, status: UInt16, limit: UInt8, now: UInt64) {
        if counts.isEmpty { countsDueMs = now + RequestRates.minuteMs }
        if let index = counts.firstIndex(where: {
            $0.tenant == tenant && $0.status == status && $0.limit == limit
        }) {
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

/// Counts by key for the current minute: four places a set, and the least used one goes when a fifth key
/// comes. A flood of keys can so push a count out, never make the table grow.
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

    /// Refusals on the key in this minute; makes no cell.
    func refusals(_ key: UInt64, _ minute: UInt32) -> UInt16 {
        let first = Int(key & mask) * RateTable.ways
        for way in first..<first + RateTable.ways where cells[way].key == key && cells[way].minute == minute {
            return cells[way].refusals
        }
        return 0
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
        if cells[index].key != key || cells[index].minute != minute {
            cells[index] = Cell(key: key, minute: minute)
        }
        return body(&cells[index])
    }

    /// How much would be forgotten with a cell.
    private func weight(_ index: Int, _ minute: UInt32) -> Int {
        cells[index].minute == minute ? 1 + Int(cells[index].requests) + Int(cells[index].refusals) : 0
    }
}

extension Engine {
    /// What a request is counted on; `nil` for lookups, for couriers' words and for requests for codes that
    /// aren't valid: the rules refuse those without a write.
    public func rateKeys(_ request: borrowing Request, _ caller: Caller) -> RequestRates.Keys? {
        var keys = RequestRates.Keys(tenant: caller.tenant, table: .others)
        switch request {
        case .requestCode(let m):
            guard m.assurance <= Assurance.knownDevice.rawValue, Validation.isAddress(m.clientIP),
                let tenant = tenant(caller.tenant), let purpose = purpose(m.purpose, of: tenant),
                let table = RequestRates.Table(rawValue: Int(m.assurance))
            else { return nil }
            let problem = invalid(m.account, m.phone, m.session, m.assurance, purpose)
            // A payment that nobody proved anything for is refused by an event: those are counted, on no class.
            guard problem == nil || problem == .assuranceTooLow else { return nil }
            if problem == nil { keys.table = table }
            keys.counted[RequestRates.Keys.account] = accountIndex(caller.tenant, m.account).high
            keys.counted[RequestRates.Keys.phone] = phoneIndex(caller.tenant, m.phone).high
            keys.counted[RequestRates.Keys.address] = addressKey(m.clientIP, caller.tenant)
        case .resend(let m):
            keys.table = .resends
            // The session is in the key: who only knows a challenge's id is counted on nobody's.
            keys.counted[RequestRates.Keys.challenge] = spread(
                m.challenge.low ^ m.session.tail.low, caller.tenant)
        case .verify(let m):
            keys.counted[RequestRates.Keys.challenge] = spread(m.challenge.low, caller.tenant)
            keys.counted[RequestRates.Keys.address] = addressKey(m.clientIP, caller.tenant)
        case .cancel(let m):
            keys.counted[RequestRates.Keys.challenge] = spread(m.challenge.low, caller.tenant)
        case .redeemGrant(let m):
            keys.counted[RequestRates.Keys.challenge] = spread(m.grant.head.low, caller.tenant)
        case .unblock: break
        case .status, .quota, .checkGrant, .report, .receipt: return nil
        }
        // Never 0, which stands for nothing.
        keys.caller = 1 << 63 | UInt64(caller.tenant) << 32 | UInt64(caller.uid)
        return keys
    }

    /// An IPv4 address, or the /64 of an IPv6 one; an IPv4 address in IPv6's clothes is the IPv4 address.
    private func addressKey(_ address: InlineBytes<16>, _ tenant: UInt32) -> UInt64 {
        guard address.count == 4 || address.count == 16 else { return 0 }
        let isMapped = address.count == 16 && isMapped(address)
        let first = isMapped ? 12 : 0
        var key: UInt64 = 0
        for index in first..<min(first + 8, address.count) { key = key << 8 | UInt64(address[index]) }
        return spread(key | (isMapped || address.count == 4 ? 1 << 63 : 0), tenant)
    }

    /// ::ffff:a.b.c.d
    private func isMapped(_ address: InlineBytes<16>) -> Bool {
        for index in 0..<10 where address[index] != 0 { return false }
        return address[10] == 0xFF && address[11] == 0xFF
    }

    /// Over the sets, because addresses of one attacker are neighbours; another tenant's is another key.
    private func spread(_ value: UInt64, _ tenant: UInt32) -> UInt64 {
        let key = (value ^ UInt64(tenant) &* 0xC2B2_AE3D_27D4_EB4F) &* 0x9E37_79B9_7F4A_7C15
        return key == 0 ? 1 : key
    }

    /// One event for each of `counts`, in the batch's commit.
    public func note<S: State>(_ counts: [RequestRates.Count], context: BatchContext, state: inout S) {
        nobodyActs()
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
