import Store
import Testing

@testable import AuthServer

/// Engine time never goes back and follows the wall clock slowly, whatever the machine's clocks do.
@Suite struct EngineClockTests {
    /// Clocks that the test moves.
    final class Clocks {
        var boottimeMs: UInt64
        var wallMs: UInt64
        let bootID: (UInt64, UInt64)

        init(bootID: UInt64 = 1, boottimeMs: UInt64 = 1_000_000, wallMs: UInt64) {
            self.bootID = (bootID, bootID)
            self.boottimeMs = boottimeMs
            self.wallMs = wallMs
        }

        var source: ClockSource {
            ClockSource(bootID: bootID, boottimeMs: { self.boottimeMs }, wallMs: { self.wallMs })
        }

        func pass(_ ms: UInt64) {
            boottimeMs += ms
            wallMs += ms
        }
    }

    static let wall: UInt64 = 1_800_000_000_000
    static let day: UInt64 = 86_400_000

    /// The last journal record of boot 1, at boot time 900,000.
    private func last(engineMs: UInt64) -> StoreClock {
        StoreClock(bootID: (1, 1), boottimeMs: 900_000, engineMs: engineMs, wallMs: engineMs)
    }

    @Test func aNewStoreStartsWithTheWall() throws {
        let clocks = Clocks(wallMs: Self.wall)
        let clock = try EngineClock(last: nil, acceptClock: false, source: clocks.source)
        #expect(clock.now().engineMs == Self.wall)
        #expect(clock.voidBefore == 0)
        clocks.pass(5)
        #expect(clock.now().engineMs == Self.wall + 5)
    }

    @Test(arguments: [-1_000 * 86_400_000, -1, 0, 1, 1_000 * 86_400_000])
    func theSameBootIgnoresStepsOfTheWall(_ step: Int64) throws {
        let clocks = Clocks(wallMs: UInt64(Int64(Self.wall) + step))
        let clock = try EngineClock(
            last: last(engineMs: Self.wall), acceptClock: false, source: clocks.source)
        #expect(clock.now().engineMs == Self.wall + 100_000)
        #expect(clock.voidBefore == 0)
    }

    @Test func anotherBootWithTheWallBehindVoidsWhatWasOpen() throws {
        for (behind, isVoid) in [(UInt64(1_000), false), (2_000, false), (2_001, true), (Self.day, true)] {
            let clocks = Clocks(bootID: 2, boottimeMs: 5, wallMs: Self.wall - behind)
            let clock = try EngineClock(
                last: last(engineMs: Self.wall), acceptClock: false, source: clocks.source)
            #expect(
                clock.now().engineMs == Self.wall + (isVoid ? 1 : 0), "engine time goes on from the journal")
            // What the last record itself opened is void too.
            #expect(clock.voidBefore == (isVoid ? Self.wall + 1 : 0), "behind by \(behind)")
        }
    }

    @Test func aBootTimeThatWentBackIsAnotherBoot() throws {
        // A machine restored from an image of itself.
        let clocks = Clocks(boottimeMs: 800_000, wallMs: Self.wall - 10_000)
        let clock = try EngineClock(
            last: last(engineMs: Self.wall), acceptClock: false, source: clocks.source)
        #expect(clock.now().engineMs == Self.wall + 1)
        #expect(clock.voidBefore == Self.wall + 1)
    }

    @Test func aBootThatTheKernelDoesNotNameIsNeverTheSame() throws {
        let clocks = Clocks(bootID: 0, wallMs: Self.wall + 7)
        let before = StoreClock(bootID: (0, 0), boottimeMs: 0, engineMs: Self.wall, wallMs: Self.wall)
        let clock = try EngineClock(last: before, acceptClock: false, source: clocks.source)
        #expect(clock.now().engineMs == Self.wall + 7)
    }

    @Test func aWallFarAheadNeedsAWord() throws {
        func start(days: UInt64, accept: Bool) throws -> EngineClock {
            let clocks = Clocks(bootID: 2, boottimeMs: 5, wallMs: Self.wall + days * Self.day)
            return try EngineClock(
                last: last(engineMs: Self.wall), acceptClock: accept, source: clocks.source)
        }
        #expect(try start(days: 400, accept: false).now().engineMs == Self.wall + 400 * Self.day)
        do {
            _ = try start(days: 401, accept: false)
            Issue.record("a wall clock 401 days ahead was taken")
        } catch {
            #expect("\(error)".contains("401 days"))
            #expect("\(error)".contains("--accept-clock"))
        }
        #expect(try start(days: 401, accept: true).now().engineMs == Self.wall + 401 * Self.day)
    }

    @Test func slewsTowardsTheWallByAtMost500PartsPerMillion() throws {
        let clocks = Clocks(wallMs: Self.wall)
        let clock = try EngineClock(last: nil, acceptClock: false, source: clocks.source)
        // A long time in step with the wall earns nothing.
        for _ in 0..<100 {
            clocks.pass(100_000)
            _ = clock.now()
        }
        clocks.wallMs += 10_000
        var former = clock.now().engineMs
        #expect(former == Self.wall + 10_000_000, "a step of the wall isn't a step of the engine")
        let start = former
        for _ in 0..<1_000 {
            clocks.pass(50)
            let now = clock.now().engineMs
            #expect(now - former >= 50 && now - former <= 51)
            former = now
        }
        #expect(former - start == 50_000 + 25)
        // In the end it arrives, and stays.
        clocks.pass(30_000_000)
        #expect(clock.now().engineMs == clocks.wallMs)
        clocks.pass(1_000)
        #expect(clock.now().engineMs == clocks.wallMs)
    }

    @Test func neverGoesBack() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        let clocks = Clocks(wallMs: Self.wall)
        let clock = try EngineClock(last: nil, acceptClock: false, source: clocks.source)
        var former = clock.now().engineMs
        for _ in 0..<10_000 {
            switch UInt8.random(in: 0..<4, using: &generator) {
            case 0: clocks.wallMs -= .random(in: 0...100_000, using: &generator)
            case 1: clocks.wallMs += .random(in: 0...100_000, using: &generator)
            // Two processors may disagree by a little.
            case 2: clocks.boottimeMs -= .random(in: 0...3, using: &generator)
            case _: clocks.pass(.random(in: 0...1_000, using: &generator))
            }
            let now = clock.now().engineMs
            if now < former {
                Issue.record("engine time went back by \(former - now) ms; seed \(seed)")
                return
            }
            former = now
        }
    }
}

/// A small generator that a seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
