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
}
