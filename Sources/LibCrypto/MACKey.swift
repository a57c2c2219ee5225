import CLinuxShim
import COpenSSL

/// HMAC-SHA-256 (RFC 2104) with the key's inner and outer states computed once: a MAC begins by copying a struct and takes no
/// heap allocation. Confined to the thread that owns it.
public final class MACKey {
    /// Inner, then outer, among the secrets: they are as good as the key. Behind a pointer, because each read of a class's variable would be
    /// checked for exclusive access.
    private let states = SecretArena.shared.allocate(2 * MemoryLayout<SHA256_CTX>.stride).bindMemory(to: SHA256_CTX.self)

    /// From a secret of any length; longer than 64 bytes is hashed first, as RFC 2104 says.
    public init(_ secret: borrowing SecretBytes) {
        secret.withUnsafeBytes { MACKey.derive(states, $0) }
        linux_wipe_stack()
    }

    /// From bytes that the caller owns and cleanses.
    public init(bytes: UnsafeRawBufferPointer) {
        MACKey.derive(states, bytes)
        linux_wipe_stack()
    }

    @inline(never)
    private static func derive(_ states: UnsafeMutableBufferPointer<SHA256_CTX>, _ key: UnsafeRawBufferPointer) {
        states.initialize(repeating: SHA256_CTX())
        // HMAC's block: the key, or its hash, then zeros.
        let block = SecretArena.shared.allocate(64)
        defer { if let address = block.baseAddress { SecretArena.shared.free(address) } }
        if key.count <= 64 {
            block.copyMemory(from: key)
        } else {
            SHA256_Init(&states[0])
            SHA256_Update(&states[0], key.baseAddress, key.count)
            SHA256_Final(block.baseAddress?.assumingMemoryBound(to: UInt8.self), &states[0])
        }
        let pads: [UInt8] = [0x36, 0x36 ^ 0x5C]
        for (index, pad) in pads.enumerated() {
            for offset in 0..<64 { block[offset] ^= pad }
            SHA256_Init(&states[index])
            SHA256_Update(&states[index], block.baseAddress, 64)
        }
    }

    static func finish(_ context: inout SHA256_CTX) -> Digest32 {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        return span.withUnsafeMutableBytes { raw in
            SHA256_Final(raw.baseAddress?.assumingMemoryBound(to: UInt8.self), &context)
            return Digest32(UnsafeRawBufferPointer(raw))
        }
    }

    /// A MAC over nothing yet.
    public func begin() -> MAC { MAC(context: states[0], outer: states[1]) }

    /// The MAC of one buffer.
    public func mac(_ bytes: UnsafeRawBufferPointer) -> Digest32 {
        var mac = begin()
        mac.update(bytes)
        return mac.finish()
    }

    deinit {
        if let address = states.baseAddress { SecretArena.shared.free(UnsafeMutableRawPointer(address)) }
    }
}

/// A MAC in the making. Integers go in big-endian.
public struct MAC {
    private var context: SHA256_CTX
    private let outer: SHA256_CTX

    init(context: SHA256_CTX, outer: SHA256_CTX) {
        self.context = context
        self.outer = outer
    }

    /// Appends bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
    }

    private mutating func append(_ integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.bigEndian) { bytes in
            _ = SHA256_Update(&context, bytes.baseAddress, bytes.count)
        }
    }

    /// Appends one byte.
    public mutating func update(_ byte: UInt8) { append(byte) }
    /// Appends two bytes.
    public mutating func update(u16 value: UInt16) { append(value) }
    /// Appends four bytes.
    public mutating func update(u32 value: UInt32) { append(value) }
    /// Appends eight bytes.
    public mutating func update(u64 value: UInt64) { append(value) }

    /// The 32 bytes.
    public consuming func finish() -> Digest32 {
        let first = MACKey.finish(&context)
        var last = outer
        let words = (
            first.words.0.bigEndian, first.words.1.bigEndian, first.words.2.bigEndian, first.words.3.bigEndian
        )
        withUnsafeBytes(of: words) { bytes in _ = SHA256_Update(&last, bytes.baseAddress, bytes.count) }
        return MACKey.finish(&last)
    }
}
