/// How long to wait before the next connection: doubling, with half of it random, so that a thousand clients of one provider don't come
/// back in the same millisecond.
package struct ReconnectDelay: Sendable {
    static let firstMs: UInt64 = 500
    static let longestMs: UInt64 = 30_000
    private var wholeMs = ReconnectDelay.firstMs

    package init() {}

    /// - Parameter random: uniform over all values.
    package mutating func next(random: UInt64) -> UInt64 {
        let half = wholeMs / 2
        wholeMs = min(wholeMs * 2, ReconnectDelay.longestMs)
        return half + random % (half + 1)
    }

    /// A session stood: the next failure is a first one.
    package mutating func reset() { wholeMs = ReconnectDelay.firstMs }
}
