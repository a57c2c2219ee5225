import CLinuxShim
import COpenSSL
import Glibc

/// Key material: its own locked pages, left out of core dumps, cleansed when it goes. Never a `String`, never printable.
///
/// Locking is best effort: RLIMIT_MEMLOCK may be small, and a page that can swap is better than a server that can't start.
public struct SecretBytes: ~Copyable {
    private let pages: UnsafeMutableRawBufferPointer
    /// Bytes of the secret.
    public let count: Int

    /// All zero.
    public init(count: Int) {
        precondition(count > 0, "a secret has at least one byte")
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let length = (count + page - 1) / page * page
        let address = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address, address != MAP_FAILED else { preconditionFailure("no memory for a secret") }
        _ = mlock(address, length)
        _ = linux_dont_dump(address, length)
        pages = UnsafeMutableRawBufferPointer(start: address, count: length)
        self.count = count
    }

    /// A copy; the caller cleanses the original.
    public init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count)
        pages.copyMemory(from: bytes)
    }

    /// Filled in place by `body`.
    public init<E: Error>(
        count: Int, initializingWith body: (UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) throws(E) {
        self.init(count: count)
        try body(UnsafeMutableRawBufferPointer(rebasing: pages[0..<count]))
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
        try body(UnsafeRawBufferPointer(rebasing: pages[0..<count]))
    }

    deinit {
        OPENSSL_cleanse(pages.baseAddress, pages.count)
        munmap(pages.baseAddress, pages.count)
    }
}
