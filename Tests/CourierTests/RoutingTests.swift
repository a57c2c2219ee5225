@testable import Courier
import Testing
import Wire

/// Routes, breakers and rates, with time as data.
@Suite struct RoutingTests {
    @Test func theFirstRouteThatFits() {
        var france = Router.Route()
        (france.prefixes, france.gateways) = (["+33", "+262"], ["fleur"])
        var payments = Router.Route()
        (payments.purposes, payments.gateways) = ([2], ["bank"])
        var rest = Router.Route()
        (rest.prefixes, rest.gateways) = (["+1"], ["america"])
        let router = Router([france, payments, rest])
        for (phone, purpose, expected): (String, UInt16, String?) in [
            ("+33612345678", 1, "fleur"), ("+33612345678", 2, "fleur"), ("+4915112345678", 2, "bank"),
            ("+14155550100", 1, "america"), ("+4915112345678", 1, nil), ("+3", 1, nil),
        ] {
            let route = router.route(phone: Array(phone.utf8), purpose: purpose)
            #expect(route?.gateways.first == expected, "\(phone) \(purpose)")
        }
    }

    @Test func weightsDrawTheFirst() {
        var route = Router.Route()
        route.gateways = ["a", "b", "c"]
        #expect(Router.order(route, lastGateway: "", random: 7) == ["a", "b", "c"])
        route.weights = [3, 1, 0]
        let firsts = (0..<4).map { Router.order(route, lastGateway: "", random: $0)[0] }
        #expect(firsts == ["a", "a", "a", "b"])
        #expect(Router.order(route, lastGateway: "", random: 3) == ["b", "a", "c"])
        #expect(
            Router.order(route, lastGateway: "b", random: 3) == ["a", "c", "b"], "what failed it comes last")
        #expect(Router.order(route, lastGateway: "gone", random: 0) == ["a", "b", "c"])
    }

    @Test func aRate() {
        var bucket = TokenBucket(perSecond: 2)
        for room in [2, 1] {
            #expect(bucket.room(nowMs: 1_000) == room)
            bucket.take(nowMs: 1_000)
        }
        #expect(bucket.room(nowMs: 1_000) == 0 && bucket.deadline(nowMs: 1_000) == 1_500)
        #expect(bucket.room(nowMs: 1_499) == 0)
        #expect(bucket.room(nowMs: 1_500) == 1 && bucket.deadline(nowMs: 1_500) == nil)
        #expect(bucket.room(nowMs: .max) == 2, "never more than a second's")
        bucket.giveBack()
        #expect(bucket.room(nowMs: 1_000) == 1)
        #expect(TokenBucket(perSecond: nil).room(nowMs: 0) == .max)
    }

    /// Half of the newest messages failing opens it; a probe closes it, or opens it for twice as long.
    @Test func aBreaker() {
        var breaker = CircuitBreaker()
        for _ in 0..<6 { breaker.see(.taken, nowMs: 0) }
        for _ in 0..<5 { breaker.see(.failed, nowMs: 0) }
        #expect(breaker.state == .closed, "five of eleven")
        breaker.see(.failed, nowMs: 0)
        #expect(breaker.state == .open(untilMs: 5_000) && breaker.room(nowMs: 4_999) == 0)
        #expect(breaker.deadline(nowMs: 0) == 5_000)
        #expect(breaker.room(nowMs: 5_000) == 1)
        breaker.take(nowMs: 5_000)
        #expect(breaker.room(nowMs: 5_001) == 0, "one probe")
        breaker.see(.failed, nowMs: 6_000)
        #expect(breaker.state == .open(untilMs: 16_000))
        breaker.take(nowMs: 16_000)
        breaker.see(.taken, nowMs: 16_001)
        #expect(breaker == CircuitBreaker())
    }

    @Test func aFaultOpensAtOnce() {
        var breaker = CircuitBreaker()
        breaker.see(.faulty, nowMs: 0)
        #expect(breaker.room(nowMs: 0) == 0)
        breaker.see(.faulty, nowMs: 1)
        #expect(breaker.state == .open(untilMs: 5_000), "what was under way adds nothing")
        var opens: [UInt64] = []
        var now: UInt64 = 0
        for _ in 0..<8 {
            guard case .open(let untilMs) = breaker.state else { break }
            opens.append(untilMs - now)
            now = untilMs
            breaker.take(nowMs: now)
            breaker.see(.faulty, nowMs: now)
        }
        #expect(opens.suffix(2) == [300_000, 300_000], "five minutes at most")
    }

    /// Old failures and few failures say nothing; a probe without an end makes room for another.
    @Test func whatSaysNothing() {
        var breaker = CircuitBreaker()
        for _ in 0..<4 { breaker.see(.failed, nowMs: 0) }
        breaker.see(.failed, nowMs: 60_000)
        #expect(breaker.state == .closed)
        breaker.see(.faulty, nowMs: 60_000)
        breaker.take(nowMs: 65_000)
        #expect(breaker.room(nowMs: 94_999) == 0 && breaker.deadline(nowMs: 65_000) == 95_000)
        #expect(breaker.room(nowMs: 95_000) == 1)
        breaker.tookNothing()
        #expect(breaker.room(nowMs: 65_001) == 1)
    }
}
