/// What a payment's message shows first.
public struct Payment: Sendable, Equatable {
    public let amount: Amount
    public let payee: Payee

    public init(amount: Amount, payee: Payee) {
        self.amount = amount
        self.payee = payee
    }
}

/// The longest values that a tenant's messages may hold: what the worst case is computed from.
public struct TextMaxima: Sendable, Equatable {
    /// Characters of a code.
    public var code = 10
    /// UTF-16 units of a payee; longer names are cut.
    public var payee = 24
    /// Digits of an amount in its smallest unit: 9 reach 9,999,999.99.
    public var amountDigits = 9
    /// Bytes of the longest host of `@host #code`; 0: no browser gets that line.
    public var host = 60

    /// The defaults.
    public init() {}

    /// Whether `amount` is within the declared maximum.
    public func admits(_ amount: Amount) -> Bool { amount.minorUnits <= largest }

    /// 9…9, as many as declared.
    var largest: UInt64 {
        precondition((1...18).contains(amountDigits), "the configuration's range is checked")
        return (0..<amountDigits).reduce(0) { sum, _ in sum * 10 + 9 }
    }
}
