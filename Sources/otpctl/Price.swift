/// Money in millionths, as people write it.
enum Price {
    /// `0.09 EUR`.
    static func text(_ micros: UInt64, _ currency: String) -> String {
        let fraction = String(1_000_000 + micros % 1_000_000).dropFirst().reversed().drop { $0 == "0" }
        let whole = "\(micros / 1_000_000)"
        let amount = fraction.isEmpty ? whole : "\(whole).\(String(fraction.reversed()))"
        return currency.isEmpty ? amount : "\(amount) \(currency)"
    }
}
