import CLinuxShim
public import Wire

extension InstantGateway {
    /// Any number.
    public func room(nowMs: UInt64) -> Int { .max }
    /// Always.
    public var isIdle: Bool { true }

    /// Done when it returns.
    public mutating func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage] {
        [submission.report(submit(submission.message, expiresAtWallMs: submission.expiresAtWallMs))]
    }

    /// Sweeps.
    public mutating func turn(nowMs: UInt64) -> [ReportMessage] {
        sweep(nowWallMs: linux_realtime_nanos() / 1_000_000)
        return []
    }

    /// Nothing.
    public func waits(nowMs: UInt64) -> GatewayWaits { GatewayWaits() }
    /// Nothing to end.
    public mutating func stop(nowMs: UInt64) {}
}
