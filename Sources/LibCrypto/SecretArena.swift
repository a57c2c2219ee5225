import CLinuxShim
import COpenSSL
import Glibc
import Synchronization

/// Where every secret byte of the process lies: raw keys, the states of MAC keys, and the contexts in which libcrypto keeps ciphers' keys.
/// One range of addresses, locked in memory, left out of core dumps, with pages on both sides that can't be touched.
///
/// It grows by steps, so that a process with a small RLIMIT_MEMLOCK has as much locked as it may. Locking is best effort: a page that can
/// swap is better than a server that can't start, but `doubt` says so.
final class SecretArena: Sendable {
    static let shared = SecretArena()

    private static let cellBytes = 64
    /// Locked at a time. What a process may lock by the smallest limit that is usual.
    private static let stepBytes = 64 << 10
    /// A server has some hundred KiB of secrets; the bound is for those who make secrets without end.
    private static let maxBytes = 16 << 20

    private struct Cells {
        /// At a run's first cell: how many cells it has. 0 = a free cell, or one within a run.
        var runs: [UInt32] = []
        /// No cell before it is free.
        var firstFree = 0
        var isLocked = true
    }

    /// What lies in it is its owners', one thread each.
    nonisolated(unsafe) private let range: UnsafeMutableRawBufferPointer
    private let cells = Mutex(Cells())
    /// Threads that are in `withLibcryptosMemory`.
    private let adopting = Atomic<Int>(0)
    /// libcrypto asks us for memory.
    private let isLibcryptos: Bool

    private init() {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let length = SecretArena.maxBytes + 2 * page
        let address = mmap(nil, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let address, address != MAP_FAILED else { preconditionFailure("no address space for secrets") }
        range = UnsafeMutableRawBufferPointer(start: address + page, count: SecretArena.maxBytes)
        // Refused once libcrypto has allocated anything: who holds keys comes here first in `main`.
        isLibcryptos = CRYPTO_set_mem_functions(libcryptoMalloc, libcryptoRealloc, libcryptoFree) == 1
    }

    /// What an operator should know; `nil` = all secrets are locked.
    var doubt: String? {
        if !isLibcryptos { return "libcrypto keeps ciphers' keys in memory that may be swapped: it was in use before the arena of secrets" }
        guard !cells.withLock({ $0.isLocked }) else { return nil }
        return "keys may be swapped to disk: this process may not lock memory. Raise LimitMEMLOCK= in the unit (`ulimit -l`) to 1 MiB"
    }

    func contains(_ address: UnsafeRawPointer) -> Bool {
        guard let base = range.baseAddress else { return false }
        return address >= UnsafeRawPointer(base) && address < UnsafeRawPointer(base) + range.count
    }

    /// Zeros, at an address that is a multiple of 64.
    func allocate(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
        let wanted = (bytes + SecretArena.cellBytes - 1) / SecretArena.cellBytes
        precondition(bytes > 0 && bytes <= SecretArena.maxBytes, "a secret has at least one byte, and all have 16 MiB")
        let first = cells.withLock { place(wanted, &$0) }
        let start = first * SecretArena.cellBytes
        return UnsafeMutableRawBufferPointer(rebasing: range[start..<start + bytes])
    }

    /// Overwritten, then free for the next.
    func free(_ address: UnsafeMutableRawPointer) {
        cells.withLock { cells in
            let first = cell(of: address)
            let count = cells.runs[first]
            precondition(count > 0, "what is freed was allocated")
            OPENSSL_cleanse(address, Int(count) * SecretArena.cellBytes)
            cells.runs[first] = 0
            cells.firstFree = min(cells.firstFree, first)
        }
    }

    /// Bytes that `address` may be used for.
    func room(at address: UnsafeMutableRawPointer) -> Int {
        cells.withLock { Int($0.runs[cell(of: address)]) * SecretArena.cellBytes }
    }

    /// What libcrypto allocates in `body` comes from here, and what another thread asks of it meanwhile, which does no harm.
    func withLibcryptosMemory<Result>(_ body: () -> Result) -> Result {
        adopting.wrappingAdd(1, ordering: .relaxed)
        defer { adopting.wrappingSubtract(1, ordering: .relaxed) }
        return body()
    }

    fileprivate var adopts: Bool { adopting.load(ordering: .relaxed) > 0 }

    private func cell(of address: UnsafeMutableRawPointer) -> Int {
        (UnsafeMutableRawPointer(address) - (range.baseAddress ?? address)) / SecretArena.cellBytes
    }

    /// The first gap that is large enough; at the end, after one more step.
    private func place(_ wanted: Int, _ cells: inout Cells) -> Int {
        while cells.firstFree < cells.runs.count, cells.runs[cells.firstFree] > 0 {
            cells.firstFree += Int(cells.runs[cells.firstFree])
        }
        var (index, gap) = (cells.firstFree, cells.firstFree)
        while index - gap < wanted {
            if index == cells.runs.count { grow(&cells) }
            let run = Int(cells.runs[index])
            index += max(run, 1)
            if run > 0 { gap = index }
        }
        cells.runs[gap] = UInt32(wanted)
        return gap
    }

    private func grow(_ cells: inout Cells) {
        let start = cells.runs.count * SecretArena.cellBytes
        precondition(start < range.count, "no room for one more secret: 16 MiB are in use")
        let step = range.baseAddress.map { $0 + start }
        precondition(mprotect(step, SecretArena.stepBytes, PROT_READ | PROT_WRITE) == 0, "no memory for a secret")
        if let step, mlock(step, SecretArena.stepBytes) != 0 { cells.isLocked = false }
        if let step, linux_dont_dump(step, SecretArena.stepBytes) != 0 { cells.isLocked = false }
        cells.runs += repeatElement(0, count: SecretArena.stepBytes / SecretArena.cellBytes)
    }
}

/// For those who start a process that holds keys.
public enum SecretMemory {
    /// Call it first in `main`: libcrypto takes memory for keys from the arena only if it has allocated nothing before.
    public static func prepare() { _ = SecretArena.shared }

    /// Why keys may reach the disk after all, and what to do; `nil` = they can't.
    public static var doubt: String? { SecretArena.shared.doubt }

    /// What earlier calls on this thread left on its stack, states of MAC keys and codes among it, is overwritten.
    public static func wipeStack() { linux_wipe_stack() }
}

// What libcrypto calls. `file` and `line` are its own.

private func libcryptoMalloc(_ count: Int, _ file: UnsafePointer<CChar>?, _ line: Int32) -> UnsafeMutableRawPointer? {
    guard count > 0 else { return nil }
    return SecretArena.shared.adopts ? SecretArena.shared.allocate(count).baseAddress : malloc(count)
}

private func libcryptoRealloc(
    _ address: UnsafeMutableRawPointer?, _ count: Int, _ file: UnsafePointer<CChar>?, _ line: Int32
) -> UnsafeMutableRawPointer? {
    guard let address else { return libcryptoMalloc(count, file, line) }
    guard SecretArena.shared.contains(address) else { return realloc(address, count) }
    let room = SecretArena.shared.room(at: address)
    if count > 0, count <= room { return address }
    let larger = count > 0 ? SecretArena.shared.allocate(count) : nil
    larger?.copyMemory(from: UnsafeRawBufferPointer(start: address, count: room))
    SecretArena.shared.free(address)
    return larger?.baseAddress
}

private func libcryptoFree(_ address: UnsafeMutableRawPointer?, _ file: UnsafePointer<CChar>?, _ line: Int32) {
    guard let address else { return }
    if SecretArena.shared.contains(address) { SecretArena.shared.free(address) } else { free(address) }
}
