import Engine
import Glibc
import Store
import Testing
import Wire

@testable import AuthServer

/// Messages over restarts: whatever was acknowledged goes out, and a lease that was lost with its courier is given again.
@Suite struct RestartDeliveryTests {
    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func messagesSurviveARestart(_ mode: CommitMode) throws
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

    /// A start reads the outbox of LMDB in pieces; whatever waited comes out of it, once.
    @Test func moreMessagesThanOnePieceSurviveARestart() throws {
        let server = try TestServer()
        let asker = try server.peer()
        var waiting: Set<Bytes16> = []
        for number in 0..<2 * Bounds.outboxPage + 10 {
            let request = asker.requestCode(account: "a\(number)", phone: "+3361\(2_000_000 + number)")
            waiting.insert(try asker.exchange(request).decode(ChallengeReply.self).challenge)
        }
        // A clean stop folds all of them into LMDB.
        try server.restart()
        #expect(try server.peer().exchange(Ping()).status == .done)
        let courier = try server.peer()
        var lease = LeaseMessages()
        lease.credit = 64
        while !waiting.isEmpty {
            try courier.send(lease)
            for _ in 0..<min(waiting.count, 64) {
                var frame = try #require(try courier.next())
                while frame.opcode != Opcode.message.rawValue { frame = try #require(try courier.next()) }
                let message = try frame.decode(MessagePush.self)
                #expect(waiting.remove(message.challenge) != nil, "given once")
            }
        }
    }

    /// More wait than the couriers take: those of a purpose with a higher priority go first, whenever they were asked for, over restarts too.
    @Test(arguments: [false, true], [[MessagePriority.normal, .high], [.low, .normal]])
    func whatIsUrgentGoesFirst(_ isFolded: Bool, _ priorities: [MessagePriority]) throws {
        let clock = StillClock()
        let server = try TestServer { settings in
            settings.clockSource = { clock.source }
            for (index, priority) in priorities.enumerated() { settings.tenants[0].purposes[index].priority = priority }
        }
        let asker = try server.peer()
        var asked: [Bytes16] = []
        for number in 0..<6 {
            var request = asker.requestCode(account: "a\(number)", phone: "+3361\(2_000_000 + number)")
            request.purpose = number % 2 == 0 ? 1 : 2
            asked.append(try asker.exchange(request).decode(ChallengeReply.self).challenge)
            // Those of one millisecond have no order among themselves.
            clock.pass(1)
        }
        if isFolded { try server.restart() }
        let courier = try server.peer()
        // One that comes back waits a second, and then still goes before those that were asked for earlier.
        let first = try courier.nextMessage()
        #expect(first.challenge == asked[1])
        var report = ReportMessage()
        report.challenge = first.challenge
        report.send = first.send
        report.token = first.token
        report.outcome = ReportMessage.Outcome.transientFailure.rawValue
        try courier.send(report)
        #expect(try courier.next()?.status == .done)
        #expect(try (0..<2).map { _ in try courier.nextMessage().challenge } == [asked[3], asked[5]])
        clock.pass(1_100)
        #expect(try (0..<4).map { _ in try courier.nextMessage().challenge } == [first.challenge, asked[0], asked[2], asked[4]])
    }

    /// The purpose of a waiting message is out of the new configuration, whose texts know nothing of it: the message fails and the server goes on.
    @Test func aPurposeThatIsGone() throws {
        let server = try TestServer()
        let asker = try server.peer()
        let challenge = try asker.exchange(asker.requestCode()).decode(ChallengeReply.self).challenge
        try server.restart { settings in
            settings.tenants[0].purposes = [.payment]
            settings.texts = MessageTexts()
            for tenant in settings.tenants {
                for purpose in tenant.purposes { try settings.texts.add(tenant: tenant, purpose: purpose, rules: .development) }
            }
        }
        let courier = try server.peer()
        var lease = LeaseMessages()
        lease.credit = 1
        _ = try courier.exchange(lease)
        let next = try server.peer()
        var paid = next.requestCode(account: "bob", phone: "+33612345679")
        paid.purpose = 2
        let other = try next.exchange(paid).decode(ChallengeReply.self).challenge
        #expect(try courier.nextMessage().challenge == other)
        #expect(try next.status(challenge).decode(StatusRequest.Reply.self).delivery == StatusRequest.Delivery.failed.rawValue)
    }
}
