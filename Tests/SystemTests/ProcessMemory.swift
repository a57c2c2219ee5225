import Foundation
import Glibc

/// What another process has in memory, by /proc. Only root may look into a server, which can't be traced by its own user.
struct ProcessMemory {
    struct Region {
        var start: UInt64
        var end: UInt64
        var name: String
        var isWritable: Bool
        /// Of `VmFlags`: `lo` is locked in memory, `dd` is left out of core dumps.
        var flags: Set<String> = []
        var residentKiB = 0
    }

    /// A place where something was found.
    struct Hit {
        var what: String
        var region: Region
        var isSafe: Bool { region.flags.isSuperset(of: ["lo", "dd"]) }
    }

    let regions: [Region]
    private let pid: Int32

    /// Those that this process alone has: what is shared with a file is sealed, or code.
    init(of pid: Int32) throws {
        self.pid = pid
        var regions: [Region] = []
        // By a handle: a file of /proc says that it has no bytes.
        let smaps = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/\(pid)/smaps")).readToEnd() ?? Data()
        for line in String(decoding: smaps, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            if let range = words.first, !range.hasSuffix(":"), words.count >= 5 {
                let ends = range.split(separator: "-").compactMap { UInt64($0, radix: 16) }
                guard ends.count == 2 else { continue }
                regions.append(
                    Region(
                        start: ends[0], end: ends[1], name: words.count > 5 ? String(words[5]) : "",
                        isWritable: words[1].hasPrefix("rw") && words[1].hasSuffix("p")))
            } else if line.hasPrefix("VmFlags:") {
                regions[regions.count - 1].flags = Set(words.dropFirst().map(String.init))
            } else if line.hasPrefix("Rss:") || line.hasPrefix("Swap:") {
                regions[regions.count - 1].residentKiB += Int(words[1]) ?? 0
            }
        }
        self.regions = regions.filter { $0.isWritable && $0.residentKiB > 0 }
    }

    /// Everywhere that one of `needles` stands.
    func find(_ needles: [(what: String, bytes: [UInt8])]) throws -> [Hit] {
        let memory = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else { throw TestError("/proc/\(pid)/mem: \(String(cString: strerror(errno)))") }
        defer { close(memory) }
        let longest = needles.map(\.bytes.count).max() ?? 0
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { chunk.deallocate() }
        var hits: [Hit] = []
        for region in regions {
            var at = region.start
            while at < region.end {
                let count = pread(memory, chunk.baseAddress, min(chunk.count, Int(region.end - at)), off_t(at))
                guard count > 0 else { break }
                let part = Data(bytesNoCopy: chunk.baseAddress.unsafelyUnwrapped, count: count, deallocator: .none)
                for needle in needles where part.range(of: Data(needle.bytes)) != nil {
                    hits.append(Hit(what: needle.what, region: region))
                }
                guard at + UInt64(count) < region.end else { break }
                at += UInt64(max(1, count - longest + 1))
            }
        }
        return hits
    }
}
