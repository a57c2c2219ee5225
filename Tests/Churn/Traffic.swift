import Engine
import Wire

/// One request that will be made, and what must come of it.
struct Errand {
    enum Kind: Int, CaseIterable { case report, cancel, wrong, right, resend, redeem }

    var kind: Kind
    /// Engine milliseconds.
    var due: UInt64
    var shopper: Int
    var session: Bytes32
    var challenge: Bytes16
    var code: CodeBytes
    var token = Bytes16.zero
    var send: UInt8 = 1
    var grant = Bytes32.zero
}

/// What shoppers do, from a seed: of a hundred challenges 70 are verified at once, 10 after a wrong guess, 5 after a resend; 2 are
/// cancelled, 5 abandoned after a wrong guess, 8 without one. Every message is reported, every grant redeemed.
///
/// Shoppers come and go: each challenge is that of one in a window of five times the live challenges, which moves on by 0.4 a
/// challenge, so that phones and accounts are left behind as well as come back.
struct Traffic {
    private var random: SplitMix64
    private let window: Int
    private(set) var created = 0
    /// Errands in order of time: each has a fixed delay, so that one queue a delay is in order by itself.
    private var queues = Errand.Kind.allCases.map { _ in Queue<Errand>() }
    private var late = Queue<Errand>()
    private(set) var waiting = 0

    init(seed: UInt64, live: Int) {
        random = SplitMix64(seed: seed)
        window = 5 * live
    }

    mutating func bytes16() -> Bytes16 { Bytes16(high: random.next(), low: random.next()) }
    mutating func requestID(_ now: UInt64) -> Bytes16 {
        Bytes16(timeMs: now, tailHigh: UInt16(truncatingIfNeeded: random.next()), tailLow: random.next())
    }
    mutating func entropy() -> Entropy {
        var words = InlineArray<8, UInt64>(repeating: 0)
        for index in 0..<8 { words[index] = random.next() }
        return withUnsafeBytes(of: &words) { Entropy($0) }
    }

    mutating func nextRequest(_ now: UInt64) -> (shopper: Int, message: RequestCode) {
        let shopper = created * 2 / 5 + Int(random.next() % UInt64(window))
        created += 1
        var m = RequestCode()
        m.requestID = requestID(now)
        m.purpose = 1
        m.assurance = Assurance.firstFactor.rawValue
        m.account = Traffic.account(shopper)
        m.phone = PhoneBytes("+1\(2_000_000_000 + shopper)")
        m.session = Bytes32(head: bytes16(), tail: bytes16())
        return (shopper, m)
    }

    static func account(_ shopper: Int) -> AccountBytes { AccountBytes("shopper-\(shopper)@example.com") }

    /// What the shopper of a new challenge will do.
    mutating func plan(_ start: Errand, _ now: UInt64) {
        func at(_ seconds: UInt64, _ kind: Errand.Kind) -> Errand {
            var errand = start
            errand.kind = kind
            errand.due = now + seconds * 1_000
            return errand
        }
        add(at(2, .report))
        switch random.next() % 100 {
        case 0..<70: add(at(20, .right))
        case 70..<80:
            add(at(15, .wrong))
            add(at(20, .right))
        case 80..<85: add(at(35, .resend))
        case 85..<87: add(at(10, .cancel))
        case 87..<92: add(at(15, .wrong))
        default: break
        }
    }

    /// After a resend: the new message's report and, later, the right code.
    mutating func planLate(_ errand: Errand, _ now: UInt64) {
        var errand = errand
        errand.kind = .report
        errand.due = now + 2_000
        add(errand)
        errand.kind = .right
        errand.due = now + 20_000
        late.append(errand)
        waiting += 1
    }

    mutating func add(_ errand: Errand) {
        queues[errand.kind.rawValue].append(errand)
        waiting += 1
    }

    /// An errand that is due, if there is one.
    mutating func next(_ now: UInt64) -> Errand? {
        if let first = late.first, first.due <= now {
            waiting -= 1
            return late.removeFirst()
        }
        for index in queues.indices {
            guard let first = queues[index].first, first.due <= now else { continue }
            waiting -= 1
            return queues[index].removeFirst()
        }
        return nil
    }
}

/// First in, first out, over one array.
struct Queue<Element> {
    private var items: [Element] = []
    private var head = 0

    var first: Element? { head < items.count ? items[head] : nil }

    mutating func append(_ item: Element) { items.append(item) }

    mutating func removeFirst() -> Element {
        defer {
            head += 1
            if head > 4_096, head * 2 > items.count {
                items.removeFirst(head)
                head = 0
            }
        }
        return items[head]
    }
}

/// A run can be repeated from its printed seed.
struct SplitMix64 {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
