import Engine
import Testing
import Wire

@testable import AuthServer

/// The random bytes of a batch: each request has its own, and no batch sees another's.
@Suite struct EntropyBlockTests {
    @Test func noSliceComesTwice() {
        var block = EntropyBlock()
        var tokens: [Bytes16] = []
        // Within a block, over its end, and over batches that leave much of theirs unused.
        for requests in [1, 2, 63, 64, 65, 200, 1, 1] {
            block.renew()
            for _ in 0..<requests { tokens.append(block.next().token) }
        }
        #expect(Set(tokens).count == tokens.count)
        #expect(!tokens.contains(.zero))
    }

    /// What a write makes of its slice: lookups alone have none. A challenge's nonce is of the same slice, and never seen.
    @Test func grantsAndSubjectsAreRandom() throws {
        let server = try TestServer()
        let (shop, courier, reader) = (try server.peer(), try server.peer(), try server.peer())
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.now.rawValue
        subscribe.credit = 64
        #expect(try reader.exchange(subscribe).status == .done)
        var random: Set<UInt64> = [0]
        for number in 0..<4 {
            _ = try shop.exchange(shop.requestCode(account: "a\(number)", phone: "+3361234560\(number)")).decode(ChallengeReply.self)
            let message = try courier.nextMessage()
            let grant = try shop.exchange(shop.verify(message.challenge, code(in: message))).decode(Verify.Reply.self).grant
            #expect(random.insert(grant.head.low).inserted, "a grant's id")
            var event = try #require(try reader.next()).decode(EventPush.self)
            while event.kind != EventPush.Kind.codeRequested.rawValue { event = try #require(try reader.next()).decode(EventPush.self) }
            #expect(random.insert(event.subject.low).inserted, "a subject's id")
        }
    }
}
