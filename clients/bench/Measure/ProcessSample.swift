import Glibc

/// What the kernel says of a process and its children at one instant.
struct ProcessSample {
    /// User and system time, microseconds.
    var cpuMicros: UInt64 = 0
    /// Bytes that reached the block layer; nil = not readable (otpd forbids it to others than root).
    var writtenBytes: UInt64?
    /// RssAnon: memory that is nobody else's.
    var privateBytes: UInt64 = 0
    var processes = 0
    /// Time on a processor by thread's name, nanoseconds.
    var threads: [String: UInt64] = [:]

    /// `pid` and its descendants.
    init(of pid: pid_t) {
        for member in ProcessSample.family(pid) {
            add(member)
            threads.merge(ProcessSample.threads(of: member), uniquingKeysWith: +)
        }
    }

    /// Threads that have ended since are left out.
    static func threads(of pid: pid_t) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        guard let folder = opendir("/proc/\(pid)/task") else { return found }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let number = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard pid_t(number) != nil else { continue }
            let task = "/proc/\(pid)/task/\(number)"
            // The first number of schedstat is the time on a processor.
            guard let name = contents(task + "/comm")?.split(separator: "\n").first,
                let nanos = contents(task + "/schedstat")?.split(separator: " ").first.flatMap({ UInt64($0) })
            else { continue }
            found[String(name), default: 0] += nanos
        }
        return found
    }

    private mutating func add(_ pid: pid_t) {
        guard let stat = contents("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return }
        processes += 1
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        let ticks = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        // proc(5): utime and stime are fields 14 and 15; the split begins with field 3.
        cpuMicros += ((UInt64(fields[11]) ?? 0) + (UInt64(fields[12]) ?? 0)) * 1_000_000 / ticks
        if let value = ProcessSample.field("write_bytes:", contents("/proc/\(pid)/io")) {
            writtenBytes = (writtenBytes ?? 0) + value
        }
        privateBytes += (ProcessSample.field("RssAnon:", contents("/proc/\(pid)/status")) ?? 0) << 10
    }

    private static func field(_ name: String, _ text: String?) -> UInt64? {
        guard let line = text?.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        return UInt64(
            line.dropFirst(name.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first ?? "")
    }

    private static func family(_ pid: pid_t) -> [pid_t] {
        let text = contents("/proc/\(pid)/task/\(pid)/children") ?? ""
        return [pid] + text.split(separator: " ").compactMap { pid_t($0) }.flatMap { family($0) }
    }
}
