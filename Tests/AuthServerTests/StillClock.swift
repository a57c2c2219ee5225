import Synchronization

@testable import AuthServer

/// A machine whose clocks stand still until a test moves them.
final class StillClock: Sendable {
    private let passedMs = Mutex<UInt64>(0)

    func pass(_ ms: UInt64) { passedMs.withLock { $0 += ms } }

    var source: ClockSource {
        let passed = { self.passedMs.withLock { $0 } }
        return ClockSource(
            bootID: (1, 7), boottimeMs: { 1_000_000 + passed() }, wallMs: { 1_800_000_000_000 + passed() }
        )
    }
}
