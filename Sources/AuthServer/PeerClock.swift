/// The time by which peers are measured. It stands still while the loop is late: what a peer has sent by then lies unread in the kernel,
/// and what it would take isn't written yet, so the delay isn't its own.
struct PeerClock {
    /// Milliseconds, at the last tick.
    private var milliseconds: UInt64
    /// Engine milliseconds of the last tick.
    private var tickedMs: UInt64

    init(now: UInt64) { (milliseconds, tickedMs) = (now, now) }

    /// `now`: engine milliseconds, never less than before.
    func at(_ now: UInt64) -> UInt64 { milliseconds + min(now - tickedMs, Bounds.lateTickMs) }

    mutating func tick(_ now: UInt64) {
        milliseconds = at(now)
        tickedMs = now
    }
}
