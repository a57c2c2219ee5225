import CLinuxShim
import Glibc
package import Store

/// The kernel's clocks, as data.
package struct ClockSource {
    /// Of this boot of the machine; zero is no boot's.
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
    static func system() throws(EngineClock.Failure) -> ClockSource {
        ClockSource(
            bootID: try readBootID(), boottimeMs: { linux_boottime_nanos() / 1_000_000 },
            wallMs: { linux_realtime_nanos() / 1_000_000 })
    }

    /// A start that doesn't know its boot can't tell a restart from a reboot: taking it for a reboot would let a turned wall clock void open
    /// challenges, or make limits' windows pass.
    private static func readBootID() throws(EngineClock.Failure) -> (UInt64, UInt64) {
        let file = linux_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0)
        guard file >= 0 else { throw .noBootID(code: -file) }
        defer { close(file) }
        // A value under /proc/sys comes whole or not at all: a second read would find its end.
        var bytes = [UInt8](repeating: 0, count: 128)
        var count = read(file, &bytes, bytes.count)
        while count < 0, errno == EINTR { count = read(file, &bytes, bytes.count) }
        guard count >= 0 else { throw .noBootID(code: errno) }
        let digits = String(decoding: bytes.prefix(count).filter { $0 != 0x2D && $0 != 0x0A }, as: UTF8.self)
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { throw .noBootID(code: EINVAL) }
        return (high, low)
    }
}

/// Engine time: milliseconds that never go back, over restarts and reboots, whatever the wall clock does. `DESIGN` §5, Time.
package final class EngineClock {
    /// Why a start was refused.
    package enum Failure: Error, CustomStringConvertible {
        case wallClockAhead(days: UInt64)
        case noBootID(code: Int32)

        package var description: String {
            switch self {
            case .wallClockAhead(let days):
                "The wall clock is \(days) days ahead of the last journal record. If it is right, start once with --accept-clock."
            case .noBootID(let code):
                "/proc/sys/kernel/random/boot_id can't be read: \(String(cString: strerror(code))). Without it a restart can't be told "
                    + "from a reboot. See that /proc is mounted and readable, and start again."
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
        last: StoreClock?, acceptClock: Bool, maxAheadDays: UInt64 = 400, source: ClockSource
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
