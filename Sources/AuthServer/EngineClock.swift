import CLinuxShim
import Glibc
package import Store

/// The kernel's clocks, as data.
package struct ClockSource {
    /// Of this boot of the machine; zero when the kernel doesn't tell.
    package var bootID: (UInt64, UInt64)
    /// CLOCK_BOOTTIME, milliseconds.
    package var boottimeMs: () -> UInt64
    /// The wall clock, Unix milliseconds.
    package var wallMs: () -> UInt64

    /// All three.
    package init(bootID: (UInt64, UInt64), boottimeMs: @escaping () -> UInt64, wallMs: @escaping () -> UInt64) {
        self.bootID = bootID
        self.boottimeMs = boottimeMs
        self.wallMs = wallMs
    }

    /// The real ones.
    static var system: ClockSource {
        ClockSource(
            bootID: readBootID(), boottimeMs: { linux_boottime_nanos() / 1_000_000 },
            wallMs: { linux_realtime_nanos() / 1_000_000 })
    }

    private static func readBootID() -> (UInt64, UInt64) {
        let file = linux_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0)
        guard file >= 0 else { return (0, 0) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, 64)
        let digits = bytes.prefix(max(0, count)).filter { $0 != 0x2D && $0 != 0x0A }
        guard digits.count == 32 else { return (0, 0) }
        let text = String(decoding: digits, as: UTF8.self)
        return (UInt64(text.prefix(16), radix: 16) ?? 0, UInt64(text.suffix(16), radix: 16) ?? 0)
    }
}

/// Engine time: milliseconds that never go back, over restarts and reboots, whatever the wall clock does. `DESIGN` §5, Time.
package final class EngineClock {
    /// Why a start was refused.
    package enum Failure: Error, CustomStringConvertible {
        case wallClockAhead(days: UInt64)

        package var description: String {
            switch self {
            case .wallClockAhead(let days):
                "The wall clock is \(days) days ahead of the last journal record. If it is right, start once with --accept-clock."
            }
        }
    }

    /// The wall was behind at start: challenges before this engine time are void.
    package let voidBefore: UInt64
    private let source: ClockSource
    private var engineMs: UInt64
    private var boottimeMs: UInt64
    /// Slewing catches up with the wall by at most 500 ppm: what was earned and not yet spent, in 1/2000 ms. Only time
    /// spent behind the wall earns, so that a step of the wall never makes engine time jump.
    private var slewCredit: UInt64 = 0

    /// - Parameter last: the last journal record's times; `nil` for a new store.
    init(
        last: StoreClock?, acceptClock: Bool, maxAheadDays: UInt64 = 400, source: ClockSource = .system
    ) throws(Failure) {
        self.source = source
        boottimeMs = source.boottimeMs()
        let wall = source.wallMs()
        guard let last else {
            engineMs = wall
            voidBefore = 0
            return
        }
        let isKnownBoot = source.bootID != (0, 0) && last.bootID == source.bootID
        if isKnownBoot, last.boottimeMs <= boottimeMs {
            engineMs = last.engineMs + (boottimeMs - last.boottimeMs)
            voidBefore = 0
            return
        }
        let ahead = wall > last.engineMs ? (wall - last.engineMs) / 86_400_000 : 0
        if ahead > maxAheadDays, !acceptClock { throw .wallClockAhead(days: ahead) }
        let isVoid = wall + 2_000 < last.engineMs
        // Later than the last record by a millisecond: what that one opened is void too.
        engineMs = isVoid ? last.engineMs + 1 : max(wall, last.engineMs)
        voidBefore = isVoid ? engineMs : 0
    }

    /// Now; each call is at or after the one before.
    package func now() -> StoreClock {
        let boottime = source.boottimeMs()
        let wall = source.wallMs()
        let passed = boottime > boottimeMs ? boottime - boottimeMs : 0
        boottimeMs = max(boottimeMs, boottime)
        engineMs += passed
        if wall > engineMs {
            slewCredit = min(slewCredit, 1_999) + passed
            let step = min(wall - engineMs, slewCredit / 2_000)
            engineMs += step
            slewCredit -= step * 2_000
        } else {
            slewCredit = 0
        }
        return StoreClock(bootID: source.bootID, boottimeMs: boottimeMs, engineMs: engineMs, wallMs: wall)
    }
}
