import Testing
import Wire

@testable import AuthServer

/// Requests that are whole but can't be done: a status each, and the connection stays.
@Suite struct RequestErrorTests {
    /// The status of a raw frame's reply; the connection must go on.
    private func status(_ peer: RawPeer, _ frame: RawFrame) throws -> Status? {
        peer.send(frame.bytes)
        let reply = try peer.reply(to: frame.correlation)
        #expect(reply.opcode == frame.opcode)
        #expect(try peer.exchange(Ping()).status == .done)
        return reply.status
    }

    @Test func everyOperationNeedsItsRole() throws {
        let server = try TestServer()
        for role in Role.allCases {
            let peer = try server.peer(roles: Roles(role))
            for opcode in Opcode.allCases where opcode.roles?.contains(role) == false && !opcode.isPush {
                // The role is asked for before the body is read.
                #expect(try status(peer, RawFrame(opcode)) == .notPermitted, "\(opcode) with \(role)")
            }
        }
        // Who listens to the world may tell of receipts, and is given no code.
        let receiver = try server.peer(roles: Roles(.receipts))
        #expect(try receiver.exchange(ReportReceipt()).status == .unsupportedField, "read, and refused for what it says")
        #expect(try status(receiver, RawFrame(.leaseMessages)) == .notPermitted)
        let peer = try server.peer(at: server.verifySocket)
        #expect(try status(peer, try RawFrame(Stats())) == .notPermitted)
        #expect(try peer.exchange(peer.requestCode()).status == .done)
    }

    @Test func unknownOpcodesAndPushesAreUnsupported() throws {
        let server = try TestServer()
        let peer = try server.peer()
        for opcode: UInt16 in [0, 0x0016, 0x0035, 0x0050, 0x00F2, 0x7777, 0xFFFF] {
            #expect(try status(peer, RawFrame(opcode)) == .unsupportedOperation)
        }
        for opcode in Opcode.allCases where opcode.isPush {
            #expect(try status(peer, RawFrame(opcode)) == .unsupportedOperation)
        }
    }

    @Test func anUnknownCriticalFieldIsRefusedAndAnyOtherSkipped() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let base = be(UInt64(5))
        #expect(
            try status(peer, RawFrame(.ping, body: base + tag(9, critical: true, [1]))) == .unsupportedField)
        #expect(try status(peer, RawFrame(.ping, body: base + tag(9, [1]))) == .done)
        #expect(
            try status(peer, RawFrame(.ping, body: base + tag(9, [1]) + tag(10, critical: true, [])))
                == .unsupportedField)

        var frame = try RawFrame(peer.requestCode())
        frame.body += tag(1, critical: true, [2])
        #expect(try status(peer, frame) == .unsupportedField, "a channel that isn't SMS")
        frame = try RawFrame(peer.requestCode())
        frame.body += tag(99, critical: true, [])
        #expect(try status(peer, frame) == .unsupportedField)
        #expect(try server.statistic("challenges_created_total") == 0)
        frame = try RawFrame(peer.requestCode())
        frame.body += tag(1, critical: true, [1]) + tag(99, [1, 2, 3])
        #expect(try status(peer, frame) == .done)
    }

    @Test func valuesOutsideTheirListAreRefused() throws {
        let server = try TestServer()
        let peer = try server.peer()
        var request = peer.requestCode()
        request.assurance = 3
        #expect(try peer.exchange(request).status == .unsupportedField)
        var subscribe = Subscribe()
        subscribe.start = 9
        #expect(try peer.exchange(subscribe).status == .unsupportedField)
        subscribe.start = Subscribe.Start.afterCursor.rawValue
        subscribe.cursor = Cursor(epoch: 9, sequence: 1, index: 0)
        #expect(try peer.exchange(subscribe).status == .cursorGone)
    }

    @Test func correlationIdsComeBackWhateverTheyAre() throws {
        let server = try TestServer()
        let peer = try server.peer()
        for correlation: UInt32 in [0, 1, 1, .max] {
            var frame = RawFrame(.ping, body: be(UInt64(correlation)))
            frame.correlation = correlation
            peer.send(frame.bytes)
            let reply = try #require(try peer.next())
            #expect(reply.correlation == correlation)
            #expect(try reply.decode(Ping.Reply.self).token == UInt64(correlation))
        }
    }
}
