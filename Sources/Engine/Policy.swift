public import Wire

/// What characters a code is made of.
public enum CodeAlphabet: UInt8, Sendable, CaseIterable {
    case digits = 1
    /// Digits and capitals without 0, 1, I, L, O: 31 symbols that no font mixes up. Small letters are read as
    /// capitals.
    case lettersAndDigits = 2

    /// The symbols in order.
    var symbols: StaticString {
        switch self {
        case .digits: "0123456789"
        case .lettersAndDigits: "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
        }
    }
}

/// Which operations a block stops.
public enum BlockScope: UInt8, Sendable, CaseIterable {
    case requestCode = 1
    case verify = 2
    case both = 3

    var stopsRequestCode: Bool { self != .verify }
    var stopsVerify: Bool { self != .requestCode }
}

/// Wrong codes in a row, and what follows. NIST SP 800-63B §3.2.2, PSD2 RTS art. 4(3)(b).
public struct StreakPolicy: Sendable, Equatable {
    /// Whose failures a block is made of, and what it stops.
    public enum Profile: UInt8, Sendable, CaseIterable {
        /// Those of log-ins on one account, phone and class; it stops that class there.
        case shopLogin = 1
        /// Those of payments on the account, over classes and phones; it stops payments of the account.
        case psd2Payment = 2
    }

    public var profile: Profile
    /// The first block comes with this failure.
    public var blockAfter: UInt16
    /// How long the first, second and every later block lasts.
    public var blockMs: [UInt64] = [15 * 60_000, 30 * 60_000, 60 * 60_000]
    /// What a block stops.
    public var scope: BlockScope = .both

    /// Shops: a stranger must not lock the owner out quickly.
    public static let shopLogin = StreakPolicy(.shopLogin, blockAfter: 20)
    /// Payments: at most five failures in a row.
    public static let psd2Payment = StreakPolicy(.psd2Payment, blockAfter: 5)

    /// Other fields as in the built-in profiles.
    public init(_ profile: Profile = .shopLogin, blockAfter: UInt16) { (self.profile, self.blockAfter) = (profile, blockAfter) }

    /// How long the block lasts that follows `blocks` others.
    func blockMs(after blocks: UInt8) -> UInt64 { blockMs.isEmpty ? 0 : blockMs[min(Int(blocks), blockMs.count - 1)] }
}

/// The rules of one purpose.
public struct PurposePolicy: Sendable, Equatable {
    /// Stable number, 1–65,535; on the wire and in records.
    public var number: UInt16
    /// Name in configuration and messages.
    public var name: String
    public var alphabet: CodeAlphabet = .digits
    /// 6–10.
    public var codeLength: UInt8 = 6
    /// 120–600 s.
    public var lifeMs: UInt64 = 300_000
    /// 1–5.
    public var attempts: UInt8 = 5
    /// 1–5 messages of one challenge.
    public var sendsPerChallenge: UInt8 = 3
    /// Gaps after the first, second and later unverified sends; each ≥ 20 s.
    public var gapMs: [UInt64] = [30_000, 60_000, 120_000]
    public var streak: StreakPolicy = .shopLogin
    /// ≤ 300 s.
    public var grantLifeMs: UInt64 = 120_000
    /// Whether the all-zero session is refused.
    public var requiresSession = true
    /// Of its messages, while more wait than the couriers take.
    public var priority = MessagePriority.normal

    /// Whether PSD2's rules bind it: failures count on the account, and a first factor is demanded.
    public var isPayment: Bool { streak.profile == .psd2Payment }
    /// The least assurance that it demands.
    public var leastAssurance: Assurance { isPayment ? .firstFactor : .anonymous }

    /// Defaults for a login.
    public init(number: UInt16, name: String) {
        self.number = number
        self.name = name
    }

    /// Login of a shop.
    public static let login = PurposePolicy(number: 1, name: "login")
    /// Payment under PSD2.
    public static let payment: PurposePolicy = {
        var purpose = PurposePolicy(number: 2, name: "payment")
        purpose.codeLength = 8
        purpose.streak = .psd2Payment
        return purpose
    }()
}

/// Which messages go first while more wait than the couriers take; within one, those that are due first. The
/// numbers are in records.
public enum MessagePriority: UInt8, Sendable {
    case high = 1
    case normal = 0
    case low = 2
}

/// One tenant: its purposes and the budgets of its phones and accounts.
public struct TenantPolicy: Sendable, Equatable {
    /// Stable number, ≥ 1.
    public var number: UInt32
    /// Name in configuration and messages.
    public var name: String
    /// What the SMS calls the shop.
    public var shop: String
    public var purposes: [PurposePolicy] = [.login, .payment]
    public var unverifiedPerHour = 5
    public var unverifiedPerDay = 10
    public var totalPerHour = 20
    public var totalPerDay = 50
    public var phonesPerAccountDay = 3
    public var accountsPerPhoneDay = 5
    public var openPerPhone = 3
    public var verifiesPerPhoneMinute = 10
    /// Of the send budgets, the distinct counts and the open challenges; guess caps are always enforced.
    public var modes = LimitModes()

    /// The built-in defaults.
    public init(number: UInt32, name: String, shop: String) {
        self.number = number
        self.name = name
        self.shop = shop
    }
}

/// Bounds of the protocol that the rules share, milliseconds.
public enum RuleBounds {
    /// No code lives longer (NIST SP 800-63B §3.1.3.2).
    public static let maxLifeMs: UInt64 = 600_000
    /// How far a request id's time may be from engine time.
    public static let maxRequestAgeMs: UInt64 = maxLifeMs + 60_000
    /// From a challenge id's time to the end of its record: the id may be that old at first use, then a life
    /// and a minute.
    public static let challengeRecordMs: UInt64 = maxRequestAgeMs + maxLifeMs + 60_000
    /// A verified code's grant is handed out again to a retry of the same request.
    public static let grantRepeatMs: UInt64 = 30_000
    public static let hourMs: UInt64 = 3_600_000
    public static let dayMs: UInt64 = 86_400_000
    /// How long an event is kept.
    public static let eventKeepMs: UInt64 = 30 * dayMs
    /// An account and its subject are kept so long from their making or renewal.
    public static let subjectKeepMs: UInt64 = 62 * dayMs
    /// With less left they are renewed by whatever makes an event: each event is outlived by the link from
    /// its subject to the account.
    public static let subjectRenewMs: UInt64 = eventKeepMs + dayMs
    /// How long a class's failures in a row outlive the last of them, while the class isn't off. NIST SP
    /// 800-63B §3.2.2 caps failures in a row at 100 and names no end; at 97 in 400 days a code of six digits
    /// is guessed with less than 1 in 10,000, as under the cap itself.
    public static let streakKeepMs: UInt64 = 400 * dayMs
    /// What each class may use up of these 100 on one account and phone: what a stranger burns, the owner's
    /// first factor doesn't miss.
    public static let failureShares: InlineArray<3, UInt16> = [50, 25, 25]
    /// Failures from one block of a class to the next.
    public static let nextBlockAfter: UInt16 = 5
    /// Wrong payment codes of a block at most, and the time in which they count (PSD2 RTS art. 4(3)(b)).
    public static let paymentFailures: UInt16 = 5
    public static let paymentFailuresMs: UInt64 = dayMs
    /// Of one account in a day: whoever talks support into more hands out guesses.
    public static let unblocksPerDay = 3
    /// A message is leased at most this often, leases that came back untried not counted.
    public static let maxSubmits: UInt8 = 3
    /// Before a message that came back untried is leased again.
    public static let untriedWaitMs: UInt64 = 500
}
