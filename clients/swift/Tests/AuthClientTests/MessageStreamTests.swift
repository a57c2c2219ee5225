import Testing
import Wire

@testable import AuthClient

/// A courier's messages: credit comes back with each report, and over lost connections.
@Suite struct MessageStreamTests {
    static func lease(_ peer: Peer, credit: UInt16) throws {
        let request = try peer.next()
        guard request.opcode == .leaseMessages else { throw FakeError.unexpected("\(request.opcode)") }
        let message = try request.decode(LeaseMessages.self)
        guard message.credit == credit else { throw FakeError.unexpected("credit \(message.credit)") }
        var reply = LeaseMessages.Reply()
        reply.credit = credit
        try peer.reply(to: request, reply)
    }

    static func message(_ send: UInt8) -> MessagePush {
        var message = MessagePush()
        message.send = send
        message.text = InlineBytes("483920 is your code")
        return message
    }

    @Test func reportsBringCreditAndConnectionsToo() async throws {
        try await withServer { number, peer in
            try peer.hello()
            if number == 0 {
                try Self.lease(peer, credit: 2)
                try peer.push(Self.message(1))
                try peer.push(Self.message(2))
                let report = try peer.next()
                guard try report.decode(ReportMessage.self).send == 1 else {
                    throw FakeError.unexpected("the other message")
                }
                try peer.reply(to: report, Empty())
                try Self.lease(peer, credit: 1)
            } else {
                // One message is still on the courier's hands.
                try Self.lease(peer, credit: 1)
                try peer.push(Self.message(3))
                try peer.expectClose()
            }
        } test: { client, server in
            let stream = try await client.messages(credit: 2)
            var sends: [UInt8] = []
            for await message in stream {
                sends.append(message.send)
                if sends == [1, 2] {
                    var report = ReportMessage()
                    report.send = 1
                    report.outcome = ReportMessage.Outcome.submitted.rawValue
                    try await client.report(report)
                }
                if sends.count == 3 { break }
            }
            #expect(sends == [1, 2, 3])
            #expect(server.connections == 2)
        }
    }

    @Test func withoutTheRoleItIsRefused() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.refuse(try peer.next(), Refusal(.notPermitted))
            try peer.expectClose()
        } test: { client, _ in
            let error = await failure { try await client.messages(credit: 2) } as? ClientError
            #expect(error == .refused(Refusal(.notPermitted)))
        }
    }
}
