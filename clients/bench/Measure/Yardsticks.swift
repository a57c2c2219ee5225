import CLinuxShim
import Glibc
import Histogram

/// What the machine itself takes, measured in the same run: the least that a durable reply can cost.
struct Yardsticks {
    /// One pwrite of 512 bytes into a preallocated file and its fdatasync, nanoseconds.
    var sync = StreamResult.histogram()
    /// One byte to another process over a Unix socket and back.
    var echo = StreamResult.histogram()

    static func measure(seconds: Double = 1) throws -> Yardsticks {
        var yardsticks = Yardsticks()
        try yardsticks.measureSync(seconds)
        try yardsticks.measureEcho(seconds)
        return yardsticks
    }

    private mutating func measureSync(_ seconds: Double) throws {
        let scratch = try Scratch("sync")
        let fd = open(scratch.path + "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw BenchError("\(scratch.path): \(String(cString: strerror(errno)))") }
        defer { close(fd) }
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        for index in 0..<4 { pwrite(fd, zeros, zeros.count, off_t(index << 20)) }
        fsync(fd)
        let end = linux_monotonic_nanos() + UInt64(seconds * 1e9)
        var offset = 0
        while linux_monotonic_nanos() < end {
            let start = linux_monotonic_nanos()
            guard pwrite(fd, zeros, 512, off_t(offset)) == 512, fdatasync(fd) == 0 else {
                throw BenchError("fdatasync failed")
            }
            sync.record(linux_monotonic_nanos() - start)
            offset = (offset + 512) & (4 << 20 - 1)
        }
    }

    private mutating func measureEcho(_ seconds: Double) throws {
        var pair: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0 else {
            throw BenchError("socketpair failed")
        }
        // A thread would share our memory but not our core: to the scheduler it is what a process is.
        let peer = pair[1]
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                let fd = Int32(Int(bitPattern: argument))
                var byte: UInt8 = 0
                while read(fd, &byte, 1) == 1 { _ = write(fd, &byte, 1) }
                return nil
            }, UnsafeMutableRawPointer(bitPattern: Int(peer)))
        let end = linux_monotonic_nanos() + UInt64(seconds * 1e9)
        var byte: UInt8 = 1
        while linux_monotonic_nanos() < end {
            let start = linux_monotonic_nanos()
            guard write(pair[0], &byte, 1) == 1, read(pair[0], &byte, 1) == 1 else {
                throw BenchError("the echo ended")
            }
            echo.record(linux_monotonic_nanos() - start)
        }
        close(pair[0])
        pthread_join(thread, nil)
        close(peer)
    }
}

/// The machine and how we were built.
struct Machine {
    let lines: [(String, String)]
    let processors = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    init() {
        func value(_ name: String, in text: String?) -> String {
            guard let line = text?.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
                let colon = line.firstIndex(of: ":")
            else { return "?" }
            return String(line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" })
        }
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        #if DEBUG
            let build = "debug: its times mean nothing"
        #else
            let build = "release (-O, whole module)"
        #endif
        lines = [
            (
                "processor",
                "\(processors) × \(value("model name", in: contents("/proc/cpuinfo")))"
            ),
            ("memory", value("MemTotal", in: contents("/proc/meminfo"))),
            ("kernel", contents("/proc/sys/kernel/osrelease").map { String($0.dropLast()) } ?? "?"),
            ("folder", "\(folder) on \(Machine.filesystem(of: folder))"),
            (
                "load average",
                contents("/proc/loadavg").map { $0.split(separator: " ").prefix(3).joined(separator: " ") }
                    ?? "?"
            ),
            ("build", build),
        ]
    }

    /// Device and type of the longest mount point that holds `path`.
    private static func filesystem(of path: String) -> String {
        var best = (length: 0, text: "?")
        for line in (contents("/proc/mounts") ?? "").split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count > 2, path.hasPrefix(parts[1]), parts[1].count > best.length else { continue }
            best = (parts[1].count, "\(parts[0]) (\(parts[2]))")
        }
        return best.text
    }
}
