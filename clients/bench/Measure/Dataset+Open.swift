import CLinuxShim
import Glibc
import Wire

extension Dataset {
    private var tree: String { folder + "/data/lmdb/data.mdb" }

    /// Drops LMDB's file from the page cache, so that the next reads come from the disk.
    func evict() throws {
        let fd = linux_open(tree, O_RDONLY, 0)
        guard fd >= 0 else { throw BenchError("\(tree): \(String(cString: strerror(-fd)))") }
        defer { close(fd) }
        fsync(fd)
        let code = posix_fadvise(fd, 0, 0, Int32(POSIX_FADV_DONTNEED))
        guard code == 0 else { throw BenchError("\(tree): \(String(cString: strerror(code)))") }
    }

    /// Reads all of LMDB's file into the page cache.
    func warm() throws {
        let fd = linux_open(tree, O_RDONLY, 0)
        guard fd >= 0 else { throw BenchError("\(tree): \(String(cString: strerror(-fd)))") }
        defer { close(fd) }
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(fd, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw BenchError("\(tree): \(String(cString: strerror(errno)))") }
            if count == 0 { break }
        }
    }

    /// Of the file `known`, in a prefilled folder: `records N`, then a line a challenge: shopper, request id, challenge.
    static func open(_ folder: String) throws -> Dataset {
        guard let text = contents(folder + "/known") else {
            throw BenchError(
                "\(folder) isn't a data set: make one with `otp-bench prefill --folder \(folder) --records N`"
            )
        }
        let lines = text.split(separator: "\n")
        guard let records = lines.first.flatMap({ Int($0.dropFirst("records ".count)) }) else {
            throw BenchError("\(folder)/known: the first line isn't `records N`")
        }
        let known = lines.dropFirst().compactMap { line -> Errand? in
            let parts = line.split(separator: " ")
            guard parts.count == 3, let shopper = UInt64(parts[0]),
                let request = Bytes16(hexadecimal: String(parts[1])),
                let challenge = Bytes16(hexadecimal: String(parts[2]))
            else { return nil }
            return Errand(shopper: shopper, requestID: request, challenge: challenge)
        }
        return Dataset(folder: folder, records: records, known: known)
    }
}
