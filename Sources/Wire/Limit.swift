/// Which limit refused. The number travels in a refusal; full reasons are for the owning tenant.
public enum Limit: UInt8, Sendable, CaseIterable {
    case none = 0
    /// The gap between two sends to a phone.
    case resendGap = 1
    /// Sends per challenge.
    case challengeSends = 2
    case phoneUnverifiedHour = 3
    case phoneUnverifiedDay = 4
    case phoneTotalHour = 5
    case phoneTotalDay = 6
    case accountUnverifiedHour = 7
    case accountUnverifiedDay = 8
    case accountTotalHour = 9
    case accountTotalDay = 10
    /// Different phones of one account in a day.
    case accountPhonesDay = 11
    /// Different accounts of one phone in a day.
    case phoneAccountsDay = 12
    /// Open challenges of a phone.
    case phoneOpenChallenges = 13
    /// Verify requests on a phone in a minute.
    case phoneVerifyMinute = 14
    /// A block after failures in a row, for one asker's class.
    case failureStreak = 15
    /// Requests in flight on a connection, or the server's queues.
    case serverLoad = 16
    /// Requests for codes on an account or phone in a minute, refused ones too.
    case requestRate = 17
    /// A block after wrong payment codes in a row, for the account and all purposes under PSD2.
    case paymentStreak = 18
    /// Unblocks of an account in a day.
    case accountUnblocksDay = 19

    /// The name in logs, metrics and `--json` output.
    public var name: String { String(describing: self) }
}
