import CLinuxShim
import Glibc

/// Starts `arguments[0]`; it gets SIGTERM when the harness dies.
func spawn(_ arguments: [String], environment: [String] = [], errorsTo path: String? = nil) -> pid_t {
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    argv.append(nil)
    var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) }
    envp.append(nil)
    defer { for text in argv + envp { free(text) } }
    guard let path else { return linux_spawn(&argv, &envp) }
    // The child takes descriptors 0-2 over as they are.
    fflush(nil)
    let saved = (dup(1), dup(2))
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard saved.0 >= 0, saved.1 >= 0, file >= 0 else { return -errno }
    dup2(file, 1)
    dup2(file, 2)
    let pid = linux_spawn(&argv, &envp)
    dup2(saved.0, 1)
    dup2(saved.1, 2)
    close(saved.0)
    close(saved.1)
    close(file)
    return pid
}

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(Int32)

    init(waitStatus: Int32) {
        self = waitStatus & 0x7F == 0 ? .exited(waitStatus >> 8 & 0xFF) : .killed(waitStatus & 0x7F)
    }

    var description: String {
        switch self {
        case .exited(let code): "exit \(code)"
        case .killed(let number): "signal \(number)"
        }
    }
}

/// Waits for its end.
func end(of pid: pid_t) -> Ending {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Ending(waitStatus: status)
}

/// Its end if it comes within `milliseconds`.
func end(of pid: pid_t, within milliseconds: Int) -> Ending? {
    var status: Int32 = 0
    let deadline = linux_monotonic_nanos() + UInt64(milliseconds) * 1_000_000
    repeat {
        if waitpid(pid, &status, WNOHANG) == pid { return Ending(waitStatus: status) }
        usleep(300)
    } while linux_monotonic_nanos() < deadline
    return nil
}

/// Runs a program to its end; its standard output isn't kept.
@discardableResult
func run(_ arguments: String...) throws -> Int32 {
    let environment = ["PATH=/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/bin:/sbin:/opt/swift/usr/bin"]
    let pid = spawn(["/usr/bin/env"] + arguments, environment: environment)
    guard pid > 0, case .exited(let code) = end(of: pid) else { throw CrashError("\(arguments) was killed") }
    return code
}

/// The folder of this program.
func ownFolder() throws -> String {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, 4095)
    let own = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let slash = own.lastIndex(of: "/") else { throw CrashError("no /proc/self/exe") }
    return String(own[..<slash])
}

/// A new folder in TMPDIR.
func temporaryFolder() throws -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/otp-crash-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CrashError("mkdtemp: \(reason())") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Nanoseconds in milliseconds with one decimal.
func milliseconds(_ nanos: UInt64) -> String { "\(nanos / 1_000_000).\(nanos % 1_000_000 / 100_000) ms" }

func removeTree(_ path: String) throws { try run("rm", "-rf", path) }
