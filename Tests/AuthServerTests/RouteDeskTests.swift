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

    /// A name that couldn't be told again is refused where it is decoded: it used to end the server at the
    /// next ShowRoute.
    @Test(arguments: [33, 34, 255]) func aNameTooLongIsRefused(_ count: Int) throws {
        let server = try TestServer()
        let (courier, operator_) = (try server.peer(), try server.peer())
        let name = [UInt8(count)] + [UInt8](repeating: 0x67, count: count)
        courier.send(
            RawFrame(Opcode.reportRoute, body: name + [1, 0] + [UInt8](repeating: 0, count: 20)).bytes)
        #expect(try courier.reply(to: 7).status == .unsupportedField)
        #expect(try shown(operator_) == [])
        courier.send(RawFrame(Opcode.drainRoute, body: name + [1]).bytes)
        #expect(try courier.reply(to: 7).status == .unsupportedField)
        #expect(try report(courier, String(repeating: "g", count: 32)) == 0)
        #expect(try shown(operator_).count == 1)
    }

    @Test func whatIsNoGatewayIsRefused() throws {
        let server = try TestServer()
        let courier = try server.peer()
        var message = ReportRoute()
        for (name, breaker) in [("", UInt8(1)), ("g", 0), ("g", 4)] {
            (message.gateway, message.breaker) = (InlineBytes(name), breaker)
            #expect(try courier.exchange(message).status == .unsupportedField, "\(name), \(breaker)")
        }
        #expect(try courier.exchange(DrainRoute()).status == .unsupportedField)
        #expect(try shown(courier) == [])
    }

    @Test func thereIsABound() throws {
        let server = try TestServer()
        let courier = try server.peer()
        for number in 0..<RouteDesk.mostOfOne { #expect(try report(courier, "g\(number)") == 0) }
        #expect(try report(courier, "one-more") == nil)
        #expect(try report(courier, "g0") == 0)
        for number in 0..<DrainWishes.most { try drain(courier, "w\(number)", 1) }
        var message = DrainRoute()
        message.gateway = InlineBytes("one-more")
        #expect(try courier.exchange(message).status == .overloaded)
        try drain(courier, "w0", 0)
    }
}
