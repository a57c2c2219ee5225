import Wire

/// Repeatable choices: SplitMix64 from a seed. Every decision of a simulated run comes from one of these.
struct Draw {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 ^ 0xD1B5_4A32_D192_ED03 }

    mutating func word() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0..<count.
    mutating func below(_ count: Int) -> Int { Int(word() % UInt64(max(1, count))) }
    mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }
    /// Happens in so many of 1,000 cases.
    mutating func chance(_ permille: Int) -> Bool { below(1_000) < permille }
    mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }
    mutating func bytes16() -> Bytes16 { Bytes16(high: word(), low: word()) }

    /// An index, each as likely as its weight.
    mutating func weighted(_ weights: [Int]) -> Int {
        var left = below(weights.reduce(0, +))
        for (index, weight) in weights.enumerated() {
            if left < weight { return index }
            left -= weight
        }
        return weights.count - 1
    }
}
