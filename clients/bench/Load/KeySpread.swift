import Glibc

/// Which shopper comes next.
enum KeySpread {
    /// Each comes once: no limit is in the way.
    case fresh
    /// Any of a number of shoppers.
    case uniform(UInt64)
    /// A few come often: Zipf's law with exponent 0.99, as YCSB has it.
    case zipf(Zipf)
    /// One phone, one account.
    case hot

    /// `fresh`, `hot`, `uniform:N`, `zipf:N`.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        switch (parts.first, parts.count > 1 ? UInt64(parts[1]) : nil) {
        case ("fresh", nil): self = .fresh
        case ("hot", nil): self = .hot
        case ("uniform", let count?) where count > 0: self = .uniform(count)
        case ("zipf", let count?) where count > 1: self = .zipf(Zipf(count: count))
        default: return nil
        }
    }

    func next(_ generator: inout SeededGenerator, fresh: inout UInt64) -> UInt64 {
        switch self {
        case .fresh:
            fresh += 1
            return fresh
        case .uniform(let count): return generator.next() % count
        case .zipf(let zipf): return zipf.next(&generator)
        case .hot: return 77
        }
    }
}

/// Ranks by Zipf's law, without a table: Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
struct Zipf {
    private static let theta = 0.99
    private let count: UInt64
    private let zeta: Double
    private let eta: Double

    init(count: UInt64) {
        self.count = count
        // Exact up to a million, the rest by its integral: within a millionth.
        let exact = min(count, 1_000_000)
        var sum = 0.0
        for rank in 1...exact { sum += 1 / pow(Double(rank), Zipf.theta) }
        let power = 1 - Zipf.theta
        sum += (pow(Double(count), power) - pow(Double(exact), power)) / power
        zeta = sum
        let two = 1 + pow(0.5, Zipf.theta)
        eta = (1 - pow(2 / Double(count), power)) / (1 - two / sum)
    }

    func next(_ generator: inout SeededGenerator) -> UInt64 {
        let u = Double(generator.next() >> 11) * 0x1p-53
        let scaled = u * zeta
        if scaled < 1 { return 0 }
        if scaled < 1 + pow(0.5, Zipf.theta) { return 1 }
        return min(count - 1, UInt64(Double(count) * pow(eta * u - eta + 1, 1 / (1 - Zipf.theta))))
    }
}
