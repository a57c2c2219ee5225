import COpenSSL

/// Key material, in the arena of secrets: locked, left out of core dumps, cleansed when it goes. Never a `String`, never printable.
///
/// `@unchecked Sendable`: it can't be copied, so its bytes have one owner, who alone hands it on.
public struct SecretBytes: ~Copyable, @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer
    /// Bytes of the secret.
    public let count: Int

    /// All zero.
    public init(count: Int) {
        precondition(count > 0, "a secret has at least one byte")
        bytes = SecretArena.shared.allocate(count)
        self.count = count
    }

    /// A copy; the caller cleanses the original.
    public init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        self.bytes.copyMemory(from: bytes)
    }

    /// Filled in place by `body`.
    public init<E: Error>(
        count: Int, initializingWith body: (UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) throws(E) {
        self.init(count: count)
        try body(UnsafeMutableRawBufferPointer(rebasing: bytes[0..<count]))
    }

    /// Fresh random bytes from libcrypto's private generator.
    public static func random(count: Int) -> SecretBytes {
        SecretBytes(count: count) { buffer in
            let done = RAND_priv_bytes(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(buffer.count))
            precondition(done == 1, "libcrypto's random generator failed: nothing safe can be made without it")
        }
    }

    /// Lends the bytes.
    public borrowing func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
    }

    deinit {
        if let address = bytes.baseAddress { SecretArena.shared.free(address) }
    }
}
