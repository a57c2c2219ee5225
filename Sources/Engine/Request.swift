public import Wire

/// A request that the rules decide.
public enum Request: Sendable {
    case requestCode(RequestCode)
    case resend(Resend)
    case verify(Verify)
    case cancel(Cancel)
    case status(StatusRequest)
    case quota(Quota)
    case checkGrant(CheckGrant)
    case redeemGrant(RedeemGrant)
    case report(ReportMessage)
    case receipt(ReportReceipt)
    case unblock(Unblock)
}

/// What is answered.
public enum Reply: Sendable {
    case challenge(ChallengeReply)
    case verified(Verify.Reply)
    case status(StatusRequest.Reply)
    case quota(Quota.Reply)
    case grant(GrantReply)
    case empty
    case refused(Refusal)

    static func refused(
        _ status: Status, _ limit: Limit = .none, attemptsLeft: UInt8 = Refusal.noAttempts, retryAfterMs: UInt64 = 0
    ) -> Reply {
        .refused(Refusal(status, limit: limit, attemptsLeft: attemptsLeft, retryAfterMs: retryAfterMs))
    }
}

/// Who asks, as the server established it.
public struct Caller: Sendable, Equatable {
    /// The connection's tenant.
    public var tenant: UInt32
    /// The peer's uid: part of a request's digest.
    public var uid: UInt32
    /// So many of these were refused lately that further refusals are counted (`RequestRates`), not told one by one.
    public var isCounted = false

    /// Both; refusals are told.
    public init(tenant: UInt32, uid: UInt32) {
        self.tenant = tenant
        self.uid = uid
    }
}

/// Time and place of a batch: data, never read from a clock here.
public struct BatchContext: Sendable, Equatable {
    /// Engine time, milliseconds; never goes back.
    public var now: UInt64
    /// Wall clock, Unix milliseconds: for outward stamps only.
    public var wall: UInt64
    /// The store's epoch: challenges and grants of another are void.
    public var epoch: UInt32
    /// Challenges made before it are void: the wall clock was found behind at start.
    public var voidBefore: UInt64
    /// The sequence that this batch's writes will have.
    public var sequence: UInt64

    /// All five.
    public init(now: UInt64, wall: UInt64, epoch: UInt32, voidBefore: UInt64, sequence: UInt64) {
        self.now = now
        self.wall = wall
        self.epoch = epoch
        self.voidBefore = voidBefore
        self.sequence = sequence
    }
}

/// One request's slice of the batch's random block, disjoint from every other's.
public struct Entropy: Sendable {
    /// Bytes of a slice.
    public static let bytes = 64

    let nonce: Bytes32
    private let middle: Bytes16
    let tail: Bytes16

    /// The slice's last 16 bytes, where it serves as a lease's token.
    public var token: Bytes16 { tail }

    /// An id that stands for an account first seen at `now` (engine ms): 80 of its bits are random.
    func subject(at now: UInt64) -> Bytes16 {
        Bytes16(timeMs: now, tailHigh: UInt16(truncatingIfNeeded: middle.high), tailLow: middle.low)
    }

    /// For requests that only read, and so make nothing that must be random.
    public static var none: Entropy { Entropy() }

    private init() { (nonce, middle, tail) = (.zero, .zero, .zero) }

    /// From 64 random bytes.
    public init(_ slice: UnsafeRawBufferPointer) {
        precondition(slice.count >= Entropy.bytes, "a request takes 64 random bytes")
        func id(_ offset: Int) -> Bytes16 {
            Bytes16(
                high: slice.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                low: slice.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        }
        nonce = Bytes32(head: id(0), tail: id(16))
        middle = id(32)
        tail = id(48)
    }
}
