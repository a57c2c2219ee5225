import COpenSSL

/// libcrypto's generator (SP 800-90A CTR-DRBG, seeded by the kernel).
public enum Random {
    /// Fills `buffer`; a generator that fails ends the process, because nothing safe can follow (P6).
    public static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        let done = RAND_bytes(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(buffer.count))
        precondition(done == 1, "libcrypto's random generator failed: nothing safe can be made without it")
    }
}

/// Whether the bytes are equal, in a time that depends on the lengths alone.
public func constantTimeEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    a.count == b.count && CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0
}
