import CLinuxShim
import Glibc
import LibCrypto

/// Copies a file, hashes it on the way, and makes it durable. With a pace it spares the disk and the page
/// cache of whoever else uses them: so many bytes a second without a burst after a stall, a sync each 8 MiB,
/// and no page stays in the cache that wasn't there before.
struct FileCopy {
    private static let chunkBytes = 256 << 10
    private static let syncBytes = 8 << 20
    /// Nobody catches up on more than this.
    private static let mostDebtNanos: UInt64 = 50_000_000

    /// `nil` = as quick as it goes.
    var bytesPerSecond: Int?
    /// Asked before each chunk: true ends the copy.
    var isCancelled: () -> Bool = { false }
    /// After each chunk: bytes of this file copied so far.
    var progress: (Int) -> Void = { _ in }

    /// The first `bytes` of `source`, but for `head`, which takes the place of as many at its beginning.
    /// Returns the SHA-256 of what was written. A source that ends early is an error: it was cut while it was
    /// read.
    func copy(_ source: String, to target: String, bytes: Int, head: [UInt8] = []) throws(StoreError)
        -> String
    {
        let input = try FileDescriptor(source, O_RDONLY)
        let output = try FileDescriptor(target, O_WRONLY | O_CREAT | O_TRUNC)
        let hash = SHA256Stream()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FileCopy.chunkBytes, alignment: 4096)
        defer { buffer.deallocate() }
        let cache = bytesPerSecond == nil ? nil : PageCache(input.fd, bytes: bytes)
        var (offset, synced) = (0, 0)
        var due = linux_monotonic_nanos()
        while offset < bytes {
            if isCancelled() { throw .cancelled(path: target) }
            let count = min(buffer.count, bytes - offset)
            let absent = cache?.absentPages(at: offset, count: count) ?? []
            guard try input.read(into: buffer.slice(0, count), at: offset) == count else {
                throw .damaged(path: source, detail: "it became shorter while it was copied")
            }
            cache?.drop(absent)
            if offset < head.count {
                head.withUnsafeBytes { buffer.copy(0, $0.slice(offset, min(count, $0.count - offset))) }
            }
            let chunk = UnsafeRawBufferPointer(buffer).slice(0, count)
            hash.update(chunk)
            try output.write(chunk, at: offset)
            offset += count
            if bytesPerSecond != nil, offset - synced >= FileCopy.syncBytes {
                try output.syncData()
                posix_fadvise(output.fd, off_t(synced), off_t(offset - synced), POSIX_FADV_DONTNEED)
                synced = offset
            }
            progress(offset)
            if let bytesPerSecond {
                FileCopy.rest(&due, UInt64(count) * 1_000_000_000 / UInt64(bytesPerSecond))
            }
        }
        try output.sync()
        if bytesPerSecond != nil { posix_fadvise(output.fd, 0, 0, POSIX_FADV_DONTNEED) }
        return hash.hexadecimal()
    }

    /// The SHA-256 of a file.
    static func digest(of path: String) throws(StoreError) -> String {
        let file = try FileDescriptor(path, O_RDONLY)
        let hash = SHA256Stream()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = 0
        while case let count = try file.read(into: buffer, at: offset), count > 0 {
            hash.update(UnsafeRawBufferPointer(buffer).slice(0, count))
            offset += count
        }
        return hash.hexadecimal()
    }

    private static func rest(_ due: inout UInt64, _ nanos: UInt64) {
        let now = linux_monotonic_nanos()
        due = max(due, now - min(now, mostDebtNanos)) + nanos
        if due > now { usleep(UInt32((due - now) / 1_000)) }
    }
}

/// Which pages of a file are in the page cache: a reader of the whole file takes out again what came in for
/// it alone.
private final class PageCache {
    private static let pageBytes = 4096
    private let fd: Int32
    private let bytes: Int
    private let map: UnsafeMutableRawPointer?

    init(_ fd: Int32, bytes: Int) {
        self.fd = fd
        self.bytes = bytes
        // Reads bring in what was asked for, nothing ahead of it that would look as if somebody else had
        // wanted it.
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM)
        let mapped = bytes == 0 ? MAP_FAILED : mmap(nil, bytes, PROT_READ, MAP_SHARED, fd, 0)
        map = mapped == MAP_FAILED ? nil : mapped
    }

    deinit { if let map { munmap(map, bytes) } }

    /// Runs of bytes that no page in the cache holds; none if the kernel doesn't tell.
    func absentPages(at offset: Int, count: Int) -> [Range<Int>] {
        guard let map else { return [] }
        let pages = (count + PageCache.pageBytes - 1) / PageCache.pageBytes
        var resident = [UInt8](repeating: 0, count: pages)
        guard mincore(map + offset, count, &resident) == 0 else { return [] }
        var runs: [Range<Int>] = []
        for (page, state) in resident.enumerated() where state & 1 == 0 {
            let start = offset + page * PageCache.pageBytes
            if let last = runs.last, last.upperBound == start {
                runs[runs.count - 1] = last.lowerBound..<start + PageCache.pageBytes
            } else {
                runs.append(start..<start + PageCache.pageBytes)
            }
        }
        return runs
    }

    func drop(_ runs: [Range<Int>]) {
        for run in runs { posix_fadvise(fd, off_t(run.lowerBound), off_t(run.count), POSIX_FADV_DONTNEED) }
    }
}
