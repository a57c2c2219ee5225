import Testing
import Wire

@testable import AuthServer

/// Gateways as couriers tell of them, and an operator's wishes.
@Suite struct RouteDeskTests {
    private func report(_ peer: RawPeer, _ name: String, drained: UInt8 = 0, taken: UInt64 = 0) throws -> UInt8? {
        var message = ReportRoute()
        message.gateway = InlineBytes(name)
        (message.breaker, message.drained, message.room, message.taken) = (1, drained, 5, taken)
        let frame = try peer.exchange(message)
        return frame.status == .done ? try frame.decode(ReportRoute.Reply.self).drained : nil
    }

    private func shown(_ peer: RawPeer) throws -> [String] {
        var names: [String] = []
        while true {
            var message = ShowRoute()
            message.index = UInt16(names.count)
            let reply = try peer.exchange(message).decode(ShowRoute.Reply.self)
            guard names.count < Int(reply.count) else { return names }
            names.append("\(reply.gateway.text) \(reply.drained) \(reply.room) \(reply.taken)")
        }
    }

    private func drain(_ peer: RawPeer, _ name: String, _ drained: UInt8) throws {
        var message = DrainRoute()
        (message.gateway, message.drained) = (InlineBytes(name), drained)
        #expect(try peer.exchange(message).status == .done)
    }

    @Test func aWishIsHeardAtTheNextReport() throws {
        let server = try TestServer()
        let (courier, operator_) = (try server.peer(), try server.peer())
        #expect(try shown(operator_) == [])
        #expect(try report(courier, "a") == 0)
        #expect(try report(courier, "b", taken: 3) == 0)
        #expect(try shown(operator_) == ["a 0 5 0", "b 0 5 3"])
        try drain(operator_, "b", 1)
        #expect(try report(courier, "a") == 0)
        #expect(try report(courier, "b") == 1)
        #expect(try report(courier, "b", drained: 1) == 1)
        #expect(try shown(operator_) == ["a 0 5 0", "b 1 5 0"])
        try drain(operator_, "b", 0)
        #expect(try report(courier, "b", drained: 1) == 0)
    }

    /// A server that was started anew learns what was drained from the courier that still has it so.
    @Test func aDrainedGatewayStaysDrained() throws {
        let server = try TestServer()
        let (first, second) = (try server.peer(), try server.peer())
        #expect(try report(first, "a", drained: 1) == 1)
        #expect(try report(second, "a") == 1, "another courier's, too")
        try drain(first, "a", 0)
        #expect(try report(first, "a", drained: 1) == 0)
        let third = try server.peer()
        #expect(try report(third, "a", drained: 1) == 0, "what the operator said counts")
    }

    @Test func whatACourierToldGoesWithIt() throws {
        let server = try TestServer()
        let operator_ = try server.peer()
        do {
            let courier = try server.peer()
            #expect(try report(courier, "a") == 0)
            #expect(try shown(operator_).count == 1)
        }
        var left = 1
        while left > 0 { left = try shown(operator_).count }
    }

    @Test func thereIsABound() throws {
        let server = try TestServer()
        let courier = try server.peer()
        for number in 0..<RouteDesk.mostOfOne { #expect(try report(courier, "g\(number)") == 0) }
        #expect(try report(courier, "one-more") == nil)
        #expect(try report(courier, "g0") == 0)
        for number in 0..<RouteDesk.mostWishes { try drain(courier, "w\(number)", 1) }
        var message = DrainRoute()
        message.gateway = InlineBytes("one-more")
        #expect(try courier.exchange(message).status == .overloaded)
        try drain(courier, "w0", 0)
    }
}
