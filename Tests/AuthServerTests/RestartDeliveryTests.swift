import Store
import Testing
import Wire

@testable import AuthServer

/// Messages over restarts: whatever was acknowledged goes out, and a lease that was lost with its courier is given again.
@Suite struct RestartDeliveryTests {
    @Test(arguments: [CommitMode.inline, .overlapped]) func messagesSurviveARestart(_ mode: CommitMode) throws
    {
        let server = try TestServer { $0.commit = mode }
        let asker = try server.peer()
        let challenge = try asker.exchange(asker.requestCode()).decode(ChallengeReply.self).challenge
        try server.restart()
        func lease(_ courier: RawPeer) throws -> MessagePush {
            var lease = LeaseMessages()
            lease.credit = 1
            lease.leaseMs = 700
            try courier.send(lease)
            while let frame = try courier.next() {
                if frame.opcode == Opcode.message.rawValue { return try frame.decode(MessagePush.self) }
            }
            throw TestError("no message came")
        }
        let first = try lease(try server.peer())
        #expect(first.challenge == challenge && first.attempt == 1)
        // The courier and the server are gone; the lease ends by its own deadline.
        try server.restart()
        let second = try lease(try server.peer())
        #expect(second.challenge == challenge && second.attempt == 2)
        #expect(second.text == first.text && second.idempotencyKey == first.idempotencyKey)
        #expect(second.engineTimeMs >= first.leaseUntilMs, "one courier at a time, over a restart too")
    }
}
