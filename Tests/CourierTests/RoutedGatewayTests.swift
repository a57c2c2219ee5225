@testable import Courier
import Testing
import Wire

/// Several gateways as one: what goes where, what is reported, and what one's failure means for the others.
@Suite struct RoutedGatewayTests {
    /// Says what it is told to say.
    final class Script: Gateway {
        var space = 10
        var taken: [Submission] = []
        var says: [ReportMessage] = []
        var isFaulty = false
        var isIdle: Bool { true }

        func room(nowMs: UInt64) -> Int { space }
        func take(_ submission: Submission, nowMs: UInt64) -> [ReportMessage] {
            taken.append(submission)
            return []
        }
        func turn(nowMs: UInt64) -> [ReportMessage] {
            defer { says = [] }
            return says
        }
        func takeFault() -> Bool {
            defer { isFaulty = false }
            return isFaulty
        }
        func waits(nowMs: UInt64) -> GatewayWaits { GatewayWaits() }
        func stop(nowMs: UInt64) {}

        func say(_ outcome: ReportMessage.Outcome, segments: UInt8? = nil) {
            guard let last = taken.last else { return }
            var report = last.report(outcome)
            report.segments = segments
            says.append(report)
        }
    }

    struct Bench {
        let a = Script()
        let b = Script()
        var routed: RoutedGateway

        init(perSecond: Int? = nil) {
            var route = Router.Route()
            (route.prefixes, route.gateways, route.sender) = (["+33"], ["a", "b"], "Fleur")
            routed = RoutedGateway(
                Router([route]),
                [
                    .init(name: "a", gateway: a, perSecond: perSecond, priceMicros: 45_000, currency: "EUR"),
                    .init(name: "b", gateway: b),
                ], random: { 0 })
        }

        mutating func take(
            _ number: UInt64, phone: String = "+33612345678", last: String = "", at now: UInt64 = 0
        ) -> [ReportMessage] {
            var message = sampleMessage(phone: phone, number: number)
            message.lastGateway = InlineBytes(last)
            return routed.take(submission(message), nowMs: now)
        }
    }

    private func expectNone(_ reports: [ReportMessage], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(reports.isEmpty, sourceLocation: sourceLocation)
    }

    @Test func inOrderWithPriceAndSender() {
        var bench = Bench()
        expectNone(bench.take(1))
        #expect(bench.a.taken.map { $0.sender } == ["Fleur"] && bench.b.taken.isEmpty)
        bench.a.say(.submitted, segments: 2)
        let report = bench.routed.turn(nowMs: 1).first
        #expect(report?.gateway.text == "a" && report?.hasOther == 1)
        #expect(report?.priceMicros == 90_000 && report?.currency.text == "EUR")
        bench.a.say(.delivered)
        let delivered = bench.routed.turn(nowMs: 2)
        #expect(delivered.count == 1 && delivered[0].hasOther == nil, "said once")
    }

    /// At its next lease a message goes where it didn't fail; nowhere twice at once.
    @Test func failsOver() {
        var bench = Bench()
        expectNone(bench.take(1))
        bench.a.say(.transientFailure)
        let failed = bench.routed.turn(nowMs: 1)
        #expect(failed.map { $0.gateway.text } == ["a"])
        #expect(bench.b.taken.isEmpty, "its next lease is for the server to give")
        expectNone(bench.take(1, last: "a"))
        #expect(bench.b.taken.count == 1 && bench.a.taken.count == 1)
    }

    @Test func closedAndDrainedGatewaysAreLeftOut() {
        var bench = Bench()
        bench.a.space = 0
        expectNone(bench.take(1))
        #expect(bench.b.taken.count == 1)
        bench.a.space = 10
        bench.routed.set(drained: true, "a")
        expectNone(bench.take(2))
        #expect(bench.b.taken.count == 2)
        bench.routed.set(drained: true, "b")
        bench.routed.set(drained: true, "c")
        #expect(bench.routed.room(nowMs: 0) == 0)
        #expect(bench.routed.routes(nowMs: 0).map { $0.drained } == [1, 1])
        let untried = bench.take(3)
        #expect(untried.map { $0.outcome } == [ReportMessage.Outcome.notSubmitted.rawValue])
        bench.routed.set(drained: false, "a")
        expectNone(bench.take(4))
        #expect(bench.a.taken.count == 1)
    }

    @Test func noRoute() {
        var bench = Bench()
        let refused = bench.take(1, phone: "+14155550100")
        #expect(refused.map { $0.outcome } == [ReportMessage.Outcome.permanentFailure.rawValue])
    }

    /// A wrong account takes no second message; a probe tells when it is mended.
    @Test func aFaultyGateway() {
        var bench = Bench()
        _ = bench.take(1)
        bench.a.say(.transientFailure)
        bench.a.isFaulty = true
        _ = bench.routed.turn(nowMs: 0)
        #expect(bench.routed.waits(nowMs: 0).untilMs == 5_000)
        _ = bench.take(2, at: 4_999)
        #expect(bench.a.taken.count == 1 && bench.b.taken.count == 1)
        _ = bench.take(3, at: 5_000)
        _ = bench.take(4, at: 5_000)
        #expect(bench.a.taken.count == 2 && bench.b.taken.count == 2, "one probe")
        bench.a.says = [bench.a.taken[1].report(.submitted)]
        _ = bench.routed.turn(nowMs: 5_100)
        _ = bench.take(5, at: 5_100)
        #expect(bench.a.taken.count == 3)
    }

    @Test func aRateSendsTheRestElsewhere() {
        var bench = Bench(perSecond: 2)
        for number in 1...5 as ClosedRange<UInt64> { _ = bench.take(number) }
        #expect(bench.a.taken.count == 2 && bench.b.taken.count == 3)
        _ = bench.take(6, at: 500)
        #expect(bench.a.taken.count == 3)
    }

    @Test func whatIsToldOfTheGateways() {
        var bench = Bench()
        func told(_ nowMs: UInt64) -> [String] {
            bench.routed.routes(nowMs: nowMs).map { route in
                "\(route.gateway.text) \(route.breaker) \(route.room) \(route.taken) \(route.failed) \(route.priceMicros ?? 0) \(route.currency.text)"
            }
        }
        #expect(told(0).first == "a 1 10 0 0 45000 EUR")
        expectNone(bench.take(1))
        bench.a.say(.submitted, segments: 1)
        _ = bench.routed.turn(nowMs: 0)
        for number in 2...6 as ClosedRange<UInt64> {
            expectNone(bench.take(number))
            bench.a.say(.transientFailure)
            bench.a.isFaulty = true
            _ = bench.routed.turn(nowMs: 0)
        }
        #expect(told(0).first?.hasPrefix("a 3 0 1 ") ?? false, "\(told(0))")
        #expect(told(400_000).first?.hasPrefix("a 2 1 1 ") ?? false, "one message may find out: \(told(400_000))")
    }
}
