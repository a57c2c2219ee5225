import CLinuxShim
import Glibc

/// An otpd of our own: a temp folder, a configuration, a process.
final class BenchServer {
    let folder: String
    let socket: String
    private let program: String
    /// 0 = doesn't run.
    private(set) var pid: pid_t = 0
    /// Of otpd, `NAME=value`.
    var environment = ["SWIFT_BACKTRACE=enable=no"]
    /// Where otpd's log goes; nil = where ours goes.
    var log: String?

    /// This executable.
    static var ownPath: String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, 4095)
        return String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Makes the folder, key and data; starts nothing yet. The program is the otpd beside this executable.
    /// - Parameters:
    ///   - settings: lines of the configuration's head.
    ///   - guest: another uid that may use the socket too, as verifier and observer.
    ///   - dataset: a folder with `data` and `master.key` to use instead of an empty store; otpd writes to it.
    init(commit: String = "auto", settings: String = "", guest: uid_t? = nil, dataset: String? = nil) throws {
        let own = BenchServer.ownPath
        guard let slash = own.lastIndex(of: "/") else { throw BenchError("no /proc/self/exe") }
        program = own[...slash] + "otpd"
        var template = Array("\(BenchServer.temporaryFolder)/otp-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("mkdtemp: \(String(cString: strerror(errno)))") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        socket = folder + "/s"
        try write(
            """
            data = "\(dataset ?? folder)/data"
            master_key = "\(dataset ?? folder)/master.key"
            issuer = "bench"
            commit = "\(commit)"
            \(settings)
            [[tenant]]
            number = 1
            name = "shop"
            [[listener]]
            path = "\(socket)"
            mode = "\(guest == nil ? "0600" : "0666")"
            [[peer]]
            uid = \(geteuid())
            tenant = 1
            roles = ["verify", "redeem", "courier", "observer", "admin"]
            \(guest.map { "[[peer]]\nuid = \($0)\ntenant = 1\nroles = [\"verify\", \"observer\"]" } ?? "")

            """, to: folder + "/otpd.toml")
        if dataset != nil { return }
        // A guest finds the socket, and nothing else.
        if guest != nil { chmod(folder, 0o711) }
        let made = spawn(
            "/bin/sh", ["-c", "exec '\(program)' init --data '\(folder)/data' --master-key '\(folder)/master.key' >/dev/null"])
        guard BenchServer.wait(made) == 0 else { throw BenchError("`otpd init` failed: is \(program) built?") }
    }

    private static var temporaryFolder: String {
        guard let text = getenv("TMPDIR") else { return "/tmp" }
        return String(cString: text)
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchError("\(path): \(String(cString: strerror(errno)))") }
        fputs(text, file)
        fclose(file)
    }

    private func spawn(_ program: String, _ arguments: [String]) -> pid_t {
        BenchServer.spawn(program, arguments, environment)
    }

    /// A child process that dies with this one; its pid.
    static func spawn(_ program: String, _ arguments: [String], _ given: [String] = []) -> pid_t {
        var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var environment: [UnsafeMutablePointer<CChar>?] = given.map { strdup($0) }
        environment.append(nil)
        defer { for item in environment { free(item) } }
        return linux_spawn(&argv, &environment)
    }

    /// A child's wait status, once it has ended.
    static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status
    }

    /// Starts otpd; returns once it accepts connections.
    func start() throws {
        guard try startOrEnd(seconds: 20) == nil else { throw BenchError("otpd ended before it listened") }
    }

    /// Starts otpd; `nil` once it accepts connections, its wait status if it ends before.
    func startOrEnd(seconds: UInt64) throws -> Int32? {
        let command = "exec '\(program)' --config '\(folder)/otpd.toml'" + (log.map { " >>'\($0)' 2>&1" } ?? "")
        pid = spawn("/bin/sh", ["-c", command])
        let end = linux_monotonic_nanos() + seconds * 1_000_000_000
        while linux_monotonic_nanos() < end {
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                pid = 0
                return status
            }
            let fd = linux_connect(socket)
            if fd >= 0 {
                close(fd)
                return nil
            }
            usleep(500)
        }
        throw BenchError("otpd neither listened nor ended within \(seconds) s")
    }

    /// Puts a copy of another data folder in place of this one's. Stopped servers only.
    func restore(from copy: String) throws {
        try BenchServer.run("/bin/rm", ["-rf", folder + "/data"])
        try BenchServer.run("/bin/cp", ["-a", "--sparse=always", copy, folder + "/data"])
    }

    /// A copy of the data folder beside it; its path.
    func snapshot() throws -> String {
        let copy = folder + "/template"
        try BenchServer.run("/bin/rm", ["-rf", copy])
        try BenchServer.run("/bin/cp", ["-a", "--sparse=always", folder + "/data", copy])
        return copy
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        guard wait(spawn(program, arguments)) == 0 else { throw BenchError("\(program) \(arguments.joined(separator: " ")) failed") }
    }

    /// Whether it has ended by itself within `seconds`.
    func hasEnded(seconds: UInt64) -> Bool {
        let end = linux_monotonic_nanos() + seconds * 1_000_000_000
        while linux_monotonic_nanos() < end {
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                pid = 0
                return true
            }
            usleep(1_000)
        }
        return false
    }

    /// kill -9, and the process is gone when it returns.
    func kill9() {
        guard pid > 0 else { return }
        kill(pid, SIGKILL)
        _ = BenchServer.wait(pid)
        pid = 0
    }

    /// SIGTERM; returns the milliseconds until the exit, which must be 0.
    func stop() throws -> UInt64 {
        let start = linux_monotonic_nanos()
        kill(pid, SIGTERM)
        let status = BenchServer.wait(pid)
        pid = 0
        guard status == 0 else { throw BenchError("otpd ended with wait status \(status) after SIGTERM") }
        return (linux_monotonic_nanos() - start) / 1_000_000
    }

    /// Removes the folder; a server that still runs (the measurement failed) goes first.
    func remove() {
        kill9()
        _ = BenchServer.wait(BenchServer.spawn("/bin/rm", ["-rf", folder]))
    }
}
