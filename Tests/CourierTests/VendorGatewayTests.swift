@testable import Courier
import CLinuxShim
import Foundation
import HTTPGateway
import Testing
import Wire

/// Messages through libcurl to an HTTP server that means well, and to one that doesn't.
@Suite struct VendorGatewayTests {
    private static let taken = #"{"sid": "SM1", "status": "queued"}"#

    /// A gateway to Twilio's API on this machine.
    private final class Bench {
        var gateway: VendorGateway
        let notes = Lines()
        private var sent: UInt64 = 0

        init(_ base: String, window: Int = 10, answerMs: UInt64 = 5_000, _ change: (inout HTTPRoute) -> Void = { _ in }) throws {
            var route = HTTPRoute(
                vendor: Twilio(base: base, account: "AC1", token: Credential(Array("t0ken".utf8)), sender: "+15005550006"))
            (route.name, route.sender, route.window, route.answerMs) = ("twilio", "+15005550006", window, answerMs)
            change(&route)
            let notes = notes
            gateway = try VendorGateway(route, note: { notes.add($0) }, wallSeconds: { 1_800_000_000 })
        }

        static var now: UInt64 { linux_boottime_nanos() / 1_000_000 }

        func take(leaseMs: UInt64 = 15_000) -> [ReportMessage] {
            sent += 1
            var message = sampleMessage(number: sent)
            message.idempotencyKey = Bytes16(high: 7, low: sent)
            var submission = submission(message, nowMs: Self.now)
            submission.leaseUntilMs = Self.now + leaseMs
            return gateway.take(submission, nowMs: Self.now)
        }

        /// Until so many reports are there, as the courier's loop does.
        func reports(_ count: Int) -> [ReportMessage] {
            var reports: [ReportMessage] = []
            let end = Self.now + 10_000
            while reports.count < count, Self.now < end {
                let waits = gateway.waits(nowMs: Self.now)
                var descriptors = waits.descriptors
                let until = min(waits.untilMs ?? UInt64.max, Self.now + 100)
                poll(&descriptors, nfds_t(descriptors.count), Int32(until > Self.now ? until - Self.now : 0))
                reports += gateway.turn(nowMs: Self.now)
            }
            return reports
        }

        func room(in ms: UInt64 = 0) -> Int { gateway.room(nowMs: Self.now + ms) }
        func takeFault() -> Bool { gateway.takeFault() }
        func turn() -> [ReportMessage] { gateway.turn(nowMs: Self.now) }
        var isIdle: Bool { gateway.isIdle }

        func one() -> ReportMessage? {
            let early = take()
            return early.first ?? reports(1).first
        }
    }

    private func outcome(_ report: ReportMessage?) -> ReportMessage.Outcome? {
        report.flatMap { ReportMessage.Outcome(rawValue: $0.outcome) }
    }

    @Test func aMessageIsSubmittedAndNamed() throws {
        let vendor = try FakeVendor(.answer(201, Self.taken))
        let bench = try Bench(vendor.base)
        let report = try #require(bench.one())
        #expect(outcome(report) == .submitted && report.reference.text == "SM1")
        #expect(report.gateway.text == "twilio" && report.segments == 1 && report.token == sampleMessage(number: 1).token)
        let request = try #require(vendor.requests.first)
        #expect(request.hasPrefix("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n"))
        #expect(request.contains("Authorization: Basic QUMxOnQwa2Vu\r\n") && !request.contains("Expect:"))
        #expect(request.contains("To=%2B33612345678") && request.contains("Body=483920+is+your+Fleur+code.") )
        #expect(request.contains(/ValidityPeriod=(339|340)\b/), "the code's life and 40 s, by the millisecond of the test")
        #expect(bench.isIdle && bench.notes.all.isEmpty)
    }

    @Test func connectionsAreUsedAgain() throws {
        let vendor = try FakeVendor(.answer(201, Self.taken))
        let bench = try Bench(vendor.base)
        for _ in 0..<20 { #expect(outcome(bench.one()) == .submitted) }
        #expect(vendor.connections == 1 && vendor.requests.count == 20)
    }

    @Test func aWindowOfRequestsAndNoMore() throws {
        let vendor = try FakeVendor(.silence)
        let bench = try Bench(vendor.base, window: 3, answerMs: 1_000)
        for left in [2, 1, 0] {
            #expect(bench.take().isEmpty)
            #expect(bench.room() == left)
        }
        #expect(bench.reports(3).map { outcome($0) } == [.ambiguous, .ambiguous, .ambiguous])
        #expect(eventually { vendor.connections == 3 } && bench.room() == 3)
    }

    /// Each of them may have taken the message; none of them holds anything else up.
    @Test(arguments: [
        FakeVendor.Act.silence, .drip, .cut, .reset, .endlessHeaders, .endlessBody, .garbage, .answer(500), .answer(502),
        .answer(201, "not json"),
    ]) func aHostileAnswerLeavesTheMessageInDoubt(_ act: FakeVendor.Act) throws {
        let vendor = try FakeVendor(act)
        let bench = try Bench(vendor.base, answerMs: 700)
        #expect(outcome(bench.one()) == .ambiguous, "\(act)")
        #expect(vendor.requests.count == 1, "\(act): never sent again on our own")
        #expect(bench.isIdle && bench.notes.all.count == 1)
        #expect(!bench.notes.all[0].contains("483920") && !bench.notes.all[0].contains("t0ken"))
    }

    /// The vendor may have acted on what it read before it closed.
    @Test func aUsedConnectionThatClosesUnderARequestIsNoReasonToSendItAgain() throws {
        let vendor = try FakeVendor(.closeIfUsed(201, Self.taken))
        let bench = try Bench(vendor.base)
        #expect(outcome(bench.one()) == .submitted)
        #expect(outcome(bench.one()) == .ambiguous)
        #expect(vendor.requests.count == 2)
        #expect(outcome(bench.one()) == .submitted, "on a new connection")
        #expect(bench.notes.all.last == "twilio: the route stands")
    }

    /// A GET can't be kept from being repeated otherwise.
    @Test func aGetHasAConnectionOfItsOwn() throws {
        let vendor = try FakeVendor(.closeIfUsed(202, "0: Accepted for delivery"))
        let base = vendor.base
        let bench = try Bench(vendor.base) { $0.vendor = Kannel(base: base, user: "u", password: Credential(Array("p".utf8))) }
        for _ in 0..<3 { #expect(outcome(bench.one()) == .submitted) }
        #expect(vendor.connections == 3 && vendor.requests.count == 3)
    }

    @Test func aConnectionThatWasClosedWhileItRestedIsReplaced() throws {
        let vendor = try FakeVendor(.answerAndClose(201, Self.taken))
        let bench = try Bench(vendor.base)
        for _ in 0..<5 {
            #expect(outcome(bench.one()) == .submitted)
            usleep(20_000)
        }
        #expect(vendor.requests.count == 5)
    }

    @Test func refusalsAreWhatTheyMean() throws {
        for (status, body, wanted, fault) in [
            (400, #"{"code": 21211}"#, ReportMessage.Outcome.permanentFailure, false),
            (401, #"{"code": 20003}"#, .transientFailure, true), (402, "", .transientFailure, true),
            (503, "", .transientFailure, false), (302, "", .transientFailure, true),
        ] {
            let vendor = try FakeVendor(.answer(status, body, headers: ["Location: http://127.0.0.1:1/"]))
            let bench = try Bench(vendor.base)
            #expect(outcome(bench.one()) == wanted, "\(status)")
            #expect(bench.takeFault() == fault, "\(status)")
            #expect(vendor.requests.count == 1, "\(status)")
        }
    }

    @Test func aVendorThatWantsAPauseGetsIt() throws {
        let vendor = try FakeVendor(.answer(429, "", headers: ["Retry-After: 7"]), .answer(201, Self.taken))
        let bench = try Bench(vendor.base)
        #expect(outcome(bench.one()) == .notSubmitted, "it took nothing: the attempt is given back")
        let now = Bench.now
        #expect(bench.room(in: 6_000) == 0 && bench.room(in: 7_001) == 10)
        #expect(bench.gateway.waits(nowMs: now).untilMs.map { $0 <= now + 7_000 } ?? false)
    }

    @Test func aVendorThatIsAwayTakesNothing() throws {
        let gone = try FakeVendor(.silence)
        let base = gone.base
        _ = consume gone
        let bench = try Bench(base)
        #expect(outcome(bench.one()) == .notSubmitted)
        #expect(bench.room() == 0, "a while")
        #expect(bench.room(in: 30_000) == 10)
    }

    @Test func aLeaseThatEndsSoonIsGivenBack() throws {
        let vendor = try FakeVendor(.silence)
        let bench = try Bench(vendor.base)
        #expect(bench.take(leaseMs: 1_400).map { outcome($0) } == [.notSubmitted])
        #expect(bench.take(leaseMs: 2_000).isEmpty)
        let begun = Bench.now
        #expect(outcome(bench.reports(1).first) == .ambiguous)
        #expect(Bench.now < begun + 1_950, "before the lease ends")
    }

    @Test func aStopWaitsForWhatIsOnItsWay() throws {
        let vendor = try FakeVendor(.answer(201, Self.taken))
        let bench = try Bench(vendor.base)
        #expect(bench.take().isEmpty)
        bench.gateway.stop(nowMs: Bench.now)
        #expect(!bench.isIdle && bench.room() == 0)
        #expect(outcome(bench.reports(1).first) == .submitted)
        #expect(bench.isIdle)
    }

    /// A vendor that hangs takes nothing from the one beside it.
    @Test func oneHostileVendorHarmsItsOwnRouteAlone() throws {
        let (bad, good) = (try FakeVendor(.drip), try FakeVendor(.answer(201, Self.taken)))
        let (slow, quick) = (try Bench(bad.base), try Bench(good.base))
        #expect(slow.take().isEmpty)
        for _ in 0..<10 {
            #expect(slow.turn().isEmpty)
            #expect(outcome(quick.one()) == .submitted)
        }
    }
}
