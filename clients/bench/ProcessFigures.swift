import Glibc

/// What the kernel says of a process.
struct ProcessFigures {
    let pid: pid_t

    /// Private memory, KiB.
    func privateKiB() throws -> Int {
        for line in try text("status").split(separator: "\n") where line.hasPrefix("RssAnon:") {
            if let number = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) { return number }
            if let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) }) {
                return number
            }
        }
        throw BenchError("/proc/\(pid)/status has no RssAnon: has otpd ended?")
    }

    /// Open descriptors; `nil` when only root may count them (otpd isn't dumpable).
    func descriptors() -> Int? {
        guard let folder = opendir("/proc/\(pid)/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return count - 2
    }

    /// Processor time used so far, seconds.
    func processorSeconds() throws -> Double {
        let fields = try text("stat").split(separator: ")").last.map { $0.split(separator: " ") } ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw BenchError("/proc/\(pid)/stat can't be read: has otpd ended?")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func text(_ name: String) throws -> String {
        guard let file = fopen("/proc/\(pid)/\(name)", "r") else {
            throw BenchError("/proc/\(pid)/\(name): \(String(cString: strerror(errno))): has otpd ended?")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 8_192)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
