import Testing
import Wire

@testable import AuthClient

/// Events over lost connections: each once, in order.
@Suite struct EventStreamTests {
    /// Reads Subscribe, checks it, answers it.
    static func subscribe(
        _ peer: Peer, _ start: Subscribe.Start, after sequence: UInt64 = 0, credit: UInt16,
        head newest: UInt64
    ) throws {
        let request = try peer.next()
        guard request.opcode == .subscribe else { throw FakeError.unexpected("\(request.opcode)") }
        let message = try request.decode(Subscribe.self)
        let cursor = sequence == 0 ? Cursor.zero : Cursor(epoch: 1, sequence: sequence, index: 0)
        guard message.start == start.rawValue, message.cursor == cursor, message.credit == credit else {
            throw FakeError.unexpected(
                "start \(message.start), cursor \(message.cursor), credit \(message.credit)")
        }
        try peer.reply(to: request, head(newest))
    }

    private func take(_ count: Int, from stream: PushStream<EventPush>) async -> [UInt64] {
        var sequences: [UInt64] = []
        guard count > 0 else { return [] }
        for await event in stream {
            sequences.append(event.cursor.sequence)
            if sequences.count == count { break }
        }
        return sequences
    }

    @Test func eventsComeAsTheyHappen() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try Self.subscribe(peer, .oldest, credit: 256, head: 3)
            for sequence in 1...3 as ClosedRange<UInt64> { try peer.push(event(sequence)) }
            try peer.reply(to: try peer.next(), Empty())
            try peer.expectClose()
        } test: { client, _ in
            let stream = try await client.events(from: .oldest)
            #expect(await take(3, from: stream) == [1, 2, 3])
            try await client.acknowledge(Cursor(epoch: 1, sequence: 3, index: 0), count: 3)
            #expect(stream.failure == nil)
        }
    }

    @Test func resumesAfterTheLastEvent() async throws {
        try await withServer { number, peer in
            try peer.hello()
            switch number {
            case 0:
                try Self.subscribe(peer, .now, credit: 10, head: 5)
                try peer.push(event(6))
                try peer.push(event(7))
            case 1:
                // Two are unacknowledged: so much less credit.
                try Self.subscribe(peer, .afterCursor, after: 7, credit: 8, head: 7)
                // An event that came before doesn't come twice.
                try peer.push(event(7))
                try peer.push(event(8))
            case _:
                try Self.subscribe(peer, .afterCursor, after: 8, credit: 7, head: 9)
                try peer.push(event(9))
                try peer.expectClose()
            }
        } test: { client, server in
            let stream = try await client.events(from: .now, credit: 10)
            #expect(await take(4, from: stream) == [6, 7, 8, 9])
            #expect(server.connections == 3)
        }
    }

    @Test func acknowledgedEventsGiveTheirCreditBack() async throws {
        let mayEnd = Gate()
        try await withServer { number, peer in
            try peer.hello()
            if number == 0 {
                try Self.subscribe(peer, .oldest, credit: 4, head: 3)
                for sequence in 1...3 as ClosedRange<UInt64> { try peer.push(event(sequence)) }
                let request = try peer.next()
                let message = try request.decode(Acknowledge.self)
                guard message.credit == 2, message.cursor.sequence == 2 else {
                    throw FakeError.unexpected("\(message)")
                }
                try peer.reply(to: request, Empty())
                try mayEnd.wait()
            } else {
                try Self.subscribe(peer, .afterCursor, after: 3, credit: 3, head: 3)
                try peer.push(event(4))
                try peer.expectClose()
            }
        } test: { client, _ in
            let stream = try await client.events(from: .oldest, credit: 4)
            #expect(await take(3, from: stream) == [1, 2, 3])
            try await client.acknowledge(Cursor(epoch: 1, sequence: 2, index: 0), count: 2)
            mayEnd.open()
            #expect(await take(1, from: stream) == [4])
        }
    }

    struct Resumption: Sendable {
        let start: Subscribe.Start
        let cursor: UInt64
        let head: UInt64
        let again: Subscribe.Start
        let after: UInt64
    }

    /// Lost before the first event: nothing in between may be missed.
    @Test(arguments: [
        Resumption(start: .now, cursor: 0, head: 5, again: .afterCursor, after: 5),
        Resumption(start: .now, cursor: 0, head: 0, again: .oldest, after: 0),
        Resumption(start: .oldest, cursor: 0, head: 5, again: .oldest, after: 0),
        Resumption(start: .afterCursor, cursor: 3, head: 5, again: .afterCursor, after: 3),
    ]) func lostBeforeTheFirstEvent(row: Resumption) async throws {
        try await withServer { number, peer in
            try peer.hello()
            if number == 0 {
                try Self.subscribe(peer, row.start, after: row.cursor, credit: 256, head: row.head)
            } else {
                try Self.subscribe(peer, row.again, after: row.after, credit: 256, head: row.head)
                try peer.push(event(6))
                try peer.expectClose()
            }
        } test: { client, _ in
            let cursor = row.cursor == 0 ? Cursor.zero : Cursor(epoch: 1, sequence: row.cursor, index: 0)
            let stream = try await client.events(from: row.start, cursor: cursor)
            #expect(await take(1, from: stream) == [6])
        }
    }

    @Test func eventsThatAreGoneEndTheStreamAndSayWhy() async throws {
        try await withServer { number, peer in
            try peer.hello()
            if number == 0 {
                try Self.subscribe(peer, .oldest, credit: 256, head: 1)
                try peer.push(event(1))
                return
            }
            try peer.refuse(try peer.next(), Refusal(.cursorGone))
            // The connection stays good.
            try peer.reply(to: try peer.next(), pong(1))
            try peer.expectClose()
        } test: { client, _ in
            let stream = try await client.events(from: .oldest)
            var sequences: [UInt64] = []
            for await event in stream { sequences.append(event.cursor.sequence) }
            #expect(sequences == [1])
            #expect(stream.failure == .refused(Refusal(.cursorGone)))
            _ = try await client.ping()
        }
    }

    @Test func refusedSubscribeIsThrown() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try peer.refuse(try peer.next(), Refusal(.notPermitted))
            try peer.expectClose()
        } test: { client, server in
            let error = await failure { try await client.events(from: .now) } as? ClientError
            #expect(error == .refused(Refusal(.notPermitted)))
            #expect(server.connections == 1)
        }
    }

    @Test func newStreamEndsTheFormerAndSharesNoEvent() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try Self.subscribe(peer, .now, credit: 256, head: 5)
            try peer.push(event(6))
            let second = try peer.next()
            // Still of the first subscription.
            try peer.push(event(7))
            try peer.reply(to: second, head(7))
            for sequence in 1...2 as ClosedRange<UInt64> { try peer.push(event(sequence)) }
            try peer.expectClose()
        } test: { client, _ in
            let first = try await client.events(from: .now)
            let second = try await client.events(from: .oldest)
            #expect(await take(2, from: second) == [1, 2])
            var rest: [UInt64] = []
            for await event in first { rest.append(event.cursor.sequence) }
            #expect(rest == [6] || rest == [])
        }
    }

    @Test func closeEndsTheStreamWithoutFailure() async throws {
        try await withServer { _, peer in
            try peer.hello()
            try Self.subscribe(peer, .now, credit: 256, head: 5)
            try peer.expectClose()
        } test: { client, server in
            let stream = try await client.events(from: .now)
            await client.close()
            for await event in stream { Issue.record("event \(event.cursor)") }
            #expect(stream.failure == nil)
            #expect(server.connections == 1)
        }
    }

    /// A server that drops the connection again and again is approached more and more slowly.
    @Test func resumingBacksOff() async throws {
        let clock = FakeClock()
        var options = ClientOptions()
        options.backOff = .milliseconds(50)
        options.maxBackOff = .milliseconds(400)
        let hasBegun = Gate()
        try await withServer(options: options, environment: clock.environment()) { number, peer in
            try peer.hello()
            try Self.subscribe(peer, .oldest, credit: 256, head: 0)
            if number == 0 { try hasBegun.wait() }
            guard number == 6 else { return }
            try peer.push(event(1))
            try peer.expectClose()
        } test: { client, _ in
            let stream = try await client.events(from: .oldest)
            hasBegun.open()
            #expect(await take(1, from: stream) == [1])
        }
        #expect(clock.pauses == [50, 100, 200, 400, 400, 400].map { .milliseconds($0) })
    }
}
