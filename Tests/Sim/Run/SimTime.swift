import AuthServer
import CSimMachine

/// The clocks of the simulated machine. Nothing passes unless the simulation says so.
///
/// `@unchecked Sendable`: a simulation is one thread.
final class SimTime: @unchecked Sendable {
    private(set) var bootID: (UInt64, UInt64) = (1, 1)
    private(set) var boottimeMs: UInt64 = 100_000
    static let startMs: UInt64 = 1_760_000_000_000
    private(set) var wallMs = SimTime.startMs
    /// What a perfect clock would show.
    private(set) var trueMs = SimTime.startMs

    init() { publish() }

    func pass(_ ms: UInt64) {
        boottimeMs += ms
        wallMs += ms
        trueMs += ms
        publish()
    }

    func stepWall(to ms: UInt64) {
        wallMs = ms
        publish()
    }

    /// Another boot of the machine, whose wall clock shows `wall`.
    func reboot(wall: UInt64) {
        bootID.0 += 1
        boottimeMs = 20_000
        wallMs = wall
        publish()
    }

    private func publish() { sim_machine_set_clocks(wallMs * 1_000_000, boottimeMs * 1_000_000) }

    /// As the server reads them in this boot.
    var source: ClockSource {
        ClockSource(bootID: bootID, boottimeMs: { self.boottimeMs }, wallMs: { self.wallMs })
    }
}
