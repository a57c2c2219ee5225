import CLinuxShim
import Glibc

/// A process that the bench started; it is stopped by its pid, and dies with the bench.
final class Child {
    let pid: pid_t
    private var isRunning = true

    /// `program` is searched in the path; output goes to `log`, or where ours goes.
    init(_ program: String, _ arguments: [String], log: String? = nil, environment: [String] = []) throws {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let quoted = ([program] + arguments).map {
            "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        let command = "exec " + quoted.joined(separator: " ") + (log.map { " >'\($0)' 2>&1" } ?? "")
        let words = ["/bin/sh", "-c", command]
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        var env: [UnsafeMutablePointer<CChar>?] = (["PATH=\(path)", "LC_ALL=C"] + environment).map {
            strdup($0)
        }
        argv.append(nil)
        env.append(nil)
        defer { for item in argv + env { free(item) } }
        pid = linux_spawn(&argv, &env)
        guard pid > 0 else { throw BenchError("can't start \(program): \(String(cString: strerror(-pid)))") }
    }

    /// Its exit status, as waitpid has it.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        isRunning = false
        return status
    }

    func stop(_ signal: Int32 = SIGTERM) {
        guard isRunning else { return }
        kill(pid, signal)
        _ = wait()
    }

    deinit { stop() }

    /// Runs to its end, which must be good.
    static func run(_ program: String, _ arguments: [String], log: String? = nil) throws {
        let status = try Child(program, arguments, log: log).wait()
        guard status == 0 else {
            throw BenchError(
                "\(program) \(arguments.joined(separator: " ")) ended with wait status \(status)")
        }
    }

    /// Waits until something listens at `socket`.
    func waitFor(_ socket: String, seconds: UInt64 = 20) throws {
        let end = linux_monotonic_nanos() + seconds * 1_000_000_000
        while linux_monotonic_nanos() < end {
            let fd = linux_connect(socket)
            if fd >= 0 {
                close(fd)
                return
            }
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                isRunning = false
                throw BenchError("the server of \(socket) ended before it listened (wait status \(status))")
            }
            usleep(2_000)
        }
        throw BenchError("nothing listens at \(socket) after \(seconds) s")
    }
}

/// A folder of our own under TMPDIR, removed with its owner.
final class Scratch {
    let path: String

    init(_ name: String) throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/otp-bench-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BenchError("mkdtemp in \(base): \(String(cString: strerror(errno)))")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? Child.run("rm", ["-rf", path]) }
}

/// A whole file as text; nil when it can't be read.
func contents(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count <= 0 { break }
        bytes += chunk.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
}
