public import Wire

/// What a full limit does.
public enum LimitMode: UInt8, Sendable, CaseIterable {
    case enforce = 0
    /// Passes, and leaves an event that names the limit.
    case shadow = 1
    case off = 2
}

/// The mode of each limit that may have one: the send budgets, the distinct counts, the open challenges.
/// Gaps, the sends of a challenge and all caps of guessing are always enforced.
public struct LimitModes: Sendable, Equatable {
    /// Those that may have one.
    public static let limits: [Limit] = Limit.allCases.filter(isFree)

    /// Two bits a limit.
    private var bits: UInt64 = 0

    /// All enforced.
    public init() {}

    /// The mode of `limit`; one that isn't free stays enforced.
    public subscript(limit: Limit) -> LimitMode {
        get {
            LimitMode(rawValue: UInt8(truncatingIfNeeded: bits >> (UInt64(limit.rawValue) * 2) & 3))
                ?? .enforce
        }
        set {
            guard LimitModes.isFree(limit) else { return }
            let place = UInt64(limit.rawValue) * 2
            bits = bits & ~(3 << place) | UInt64(newValue.rawValue) << place
        }
    }

    /// The same for all that may have one.
    public mutating func setAll(_ mode: LimitMode) {
        for limit in LimitModes.limits { self[limit] = mode }
    }

    private static func isFree(_ limit: Limit) -> Bool {
        switch limit {
        case .phoneUnverifiedHour, .phoneUnverifiedDay, .phoneTotalHour, .phoneTotalDay,
            .accountUnverifiedHour, .accountUnverifiedDay,
            .accountTotalHour, .accountTotalDay, .accountPhonesDay, .phoneAccountsDay, .phoneOpenChallenges:
            true
        case .none, .resendGap, .challengeSends, .phoneVerifyMinute, .failureStreak, .serverLoad,
            .requestRate, .paymentStreak,
            .accountUnblocksDay:
            false
        }
    }
}

/// Some limits, by their numbers.
struct LimitSet: Equatable {
    private var bits: UInt64 = 0
    var isEmpty: Bool { bits == 0 }

    mutating func insert(_ limit: Limit) { bits |= 1 << UInt64(limit.rawValue) }

    /// A number a byte, ascending; the first sixteen.
    var bytes: InlineBytes<16> {
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
            var count = 0
            for number in UInt8(0)..<64 where bits & (1 << UInt64(number)) != 0 && count < 16 {
                buffer[count] = number
                count += 1
            }
            return InlineBytes(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
