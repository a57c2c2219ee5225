import Engine
import Testing
import Wire

@testable import AuthServer

/// Relations between bounds that the code relies on.
@Suite struct BoundsTests {
    @Test func aPeerThatKeepsToTheCapIsNeverCutOff() {
        // 64 of the longest requests that the protocol defines are within the input bound, with a read on top.
        #expect(Bounds.maxInFlight * 512 + Bounds.readBytes <= Bounds.maxInputBytes)
        #expect(Bounds.readBytes >= FrameLimits.maxFrameBytes)
        #expect(Bounds.maxInFlight <= Int(UInt16.max))
    }

    @Test func theLongestRequestIsShort() throws {
        var request = RequestCode()
        request.account = AccountBytes([UInt8](repeating: 1, count: 128))
        request.phone = PhoneBytes([UInt8](repeating: 1, count: 16))
        request.channel = 1
        request.clientIP = InlineBytes([UInt8](repeating: 1, count: 16))
        request.locale = InlineBytes([UInt8](repeating: 1, count: 35))
        request.webHost = InlineBytes([UInt8](repeating: 1, count: 60))
        request.androidHash = InlineBytes([UInt8](repeating: 1, count: 11))
        #expect(try encoded(request).count <= 512)
    }

    @Test func aBatchHoldsOneConnectionsCap() { #expect(Bounds.maxBatch >= Bounds.maxInFlight) }

    @Test func outputPausesWithinItsBound() {
        #expect(Bounds.maxOutputBytes >= FrameLimits.maxFrameBytes * 2)
    }

    @Test func leasesEndInsideACodesLife() {
        #expect(Bounds.leaseMs * UInt64(RuleBounds.maxSubmits) < 120_000)
        #expect(UInt64(Bounds.tickMs) * 10 < Bounds.leaseMs)
    }

    @Test func noSingleTickMakesAPeerLate() {
        #expect(UInt64(Bounds.tickMs) * 2 < Bounds.lateTickMs)
        #expect(Bounds.lateTickMs * 4 < min(UInt64(Bounds.helloSeconds) * 1_000, Bounds.frameMs, Bounds.unreadMs))
    }
}
