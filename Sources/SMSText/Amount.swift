/// A currency of ISO 4217.
public struct Currency: Sendable, Equatable {
    /// Three capitals.
    public let code: String
    /// Digits after the point: 0 for JPY, 2 for EUR, 3 for KWD.
    public let digits: Int

    /// By code, in capitals; `nil` when ISO 4217 lists none with minor units.
    public init?(_ code: String) {
        // Strings are equal when they look equal: a Kelvin sign is a K, and takes three bytes more.
        guard code.utf8.count == 3, let digits = Currency.known[code] else { return nil }
        self.code = code
        self.digits = digits
    }

    private static let known: [String: Int] = {
        var known: [String: Int] = [:]
        for entry in LocaleData.currencies.split(separator: " ") { known[String(entry.dropLast())] = Int(entry.suffix(1)) }
        return known
    }()

    /// One of each number of digits: what the widest amounts are measured with.
    static let samples = ["JPY", "EUR", "KWD", "CLF"].compactMap { Currency($0) }
}

/// Money, in its currency's smallest unit.
public struct Amount: Sendable, Equatable {
    public let minorUnits: UInt64
    public let currency: Currency

    /// 1234 and EUR are 12.34 EUR.
    public init(minorUnits: UInt64, currency: Currency) {
        self.minorUnits = minorUnits
        self.currency = currency
    }
}
