import COpenSSL

/// HMAC-SHA-256 (RFC 2104) with the key's inner and outer states computed once: a MAC begins by copying a struct and takes no
/// heap allocation. Confined to the thread that owns it.
public final class MACKey {
    /// Inner, then outer: behind a pointer, because each read of a class's variable would be checked for exclusive access.
    private let states = UnsafeMutablePointer<SHA256_CTX>.allocate(capacity: 2)

    /// From a secret of any length; longer than 64 bytes is hashed first, as RFC 2104 says.
    public convenience init(_ secret: borrowing SecretBytes) {
        self.init(blockKey: secret.withUnsafeBytes { MACKey.block($0) })
    }

    /// From bytes that the caller owns and cleanses.
    public convenience init(bytes: UnsafeRawBufferPointer) { self.init(blockKey: MACKey.block(bytes)) }

    private init(blockKey: consuming InlineArray<64, UInt8>) {
        var pad = InlineArray<64, UInt8>(repeating: 0)
        for index in 0..<64 { pad[index] = blockKey[index] ^ 0x36 }
        states.initialize(repeating: SHA256_CTX(), count: 2)
        MACKey.start(&states[0], pad)
        for index in 0..<64 { pad[index] = blockKey[index] ^ 0x5C }
        MACKey.start(&states[1], pad)
        for index in 0..<64 {
            pad[index] = 0
            blockKey[index] = 0
        }
    }

    private static func block(_ key: UnsafeRawBufferPointer) -> InlineArray<64, UInt8> {
        var block = InlineArray<64, UInt8>(repeating: 0)
        if key.count <= 64 {
            for index in 0..<key.count { block[index] = key[index] }
        } else {
            var context = SHA256_CTX()
            SHA256_Init(&context)
            SHA256_Update(&context, key.baseAddress, key.count)
            let digest = finish(&context)
            for index in 0..<32 { block[index] = digest[index] }
        }
        return block
    }

    private static func start(_ context: inout SHA256_CTX, _ pad: InlineArray<64, UInt8>) {
        SHA256_Init(&context)
        let span = pad.span
        span.withUnsafeBytes { bytes in _ = SHA256_Update(&context, bytes.baseAddress, 64) }
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
        OPENSSL_cleanse(states, 2 * MemoryLayout<SHA256_CTX>.stride)
        states.deallocate()
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
