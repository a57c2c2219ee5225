import Engine
import LibCrypto

/// One block of random bytes a batch, cut into disjoint slices.
struct EntropyBlock {
    private static let slices = 64
    private let bytes = EntropyMemory(count: slices * Entropy.bytes)
    private var used = slices

    /// A new batch: what is left of the old block isn't used.
    mutating func renew() { used = EntropyBlock.slices }

    /// The next slice; a block is drawn when the batch first needs one.
    mutating func next() -> Entropy {
        if used == EntropyBlock.slices {
            Random.fill(bytes.buffer)
            used = 0
        }
        defer { used += 1 }
        let start = used * Entropy.bytes
        return Entropy(UnsafeRawBufferPointer(rebasing: bytes.buffer[start..<start + Entropy.bytes]))
    }

    private final class EntropyMemory {
        let buffer: UnsafeMutableRawBufferPointer
        init(count: Int) { buffer = .allocate(byteCount: count, alignment: 16) }
        deinit { buffer.deallocate() }
    }
}
