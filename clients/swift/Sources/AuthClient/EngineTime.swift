/// The server's clock as this process can tell it: what it said last, plus the time passed by a clock that
/// nobody sets.
struct EngineTime {
    let ms: UInt64
    let at: ContinuousClock.Instant

    /// The server slews its clock by up to 0.5 ‰: within this time that is 0.3 s of the 660 s that a request
    /// id may be off.
    static let maxAge = Duration.seconds(600)

    func ms(at now: ContinuousClock.Instant) -> UInt64 {
        let passed = max(now - at, .zero).components
        // What the server said is any number: an id made of a wrong one is refused, and nothing traps.
        return ms &+ UInt64(passed.seconds) * 1_000 &+ UInt64(passed.attoseconds / 1_000_000_000_000_000)
    }
}
