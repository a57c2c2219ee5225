import Foundation
import Glibc

/// A test's own set-up failed.
struct TestError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A folder of one test's own; gone with it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/otpd-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw TestError("mkdtemp: \(String(cString: strerror(errno)))")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            print("left behind: \(path): \(error)")
        }
    }

    /// Writes a file; returns its path.
    func write(_ text: String, to name: String) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// What a program that has ended left behind.
struct Outcome {
    var code: Int32
    var out: String
    var err: String

    /// The value of a `name:  value` line.
    func field(_ name: String) throws -> String {
        for line in out.split(separator: "\n") where line.hasPrefix(name + ":") {
            return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
        }
        throw TestError("no field \(name) in:\n\(out)\(err)")
    }

    /// The objects of `--json` output, one a line.
    func objects() throws -> [[String: Any]] {
        try out.split(separator: "\n").map { line in
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            else {
                throw TestError("not an object: \(line)")
            }
            return object
        }
    }
}

/// The programs that were built beside this one.
enum Program: String, CaseIterable {
    case otpd = "otpd"
    case otpctl = "otpctl"
    case courier = "otp-courier"
    case bench = "otp-bench"
    case receipts = "otp-receipts"

    var path: String { Self.folder + "/" + rawValue }

    private static let folder: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: own).deletingLastPathComponent().path
    }()

    /// Starts it with output to files in `folder`, which is its working directory too.
    func start(
        _ arguments: [String], in folder: TemporaryFolder, log: String, backtrace: String = "enable=no"
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        // What `make sanitize` says to its own process is for those that it starts, too.
        let sanitizers = ProcessInfo.processInfo.environment.filter {
            ["ASAN_SYMBOLIZER_PATH", "LSAN_OPTIONS", "TSAN_OPTIONS"].contains($0.key)
        }
        process.environment = ["SWIFT_BACKTRACE": backtrace, "TMPDIR": folder.path]
            .merging(sanitizers) { own, _ in own }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try handle(folder.path + "/" + log + ".out")
        process.standardError = try handle(folder.path + "/" + log + ".err")
        try process.run()
        return process
    }

    private func handle(_ path: String) throws -> FileHandle {
        // Appended to: a server that starts again goes on in the same file.
        let fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw TestError("\(path): \(String(cString: strerror(errno)))") }
        return FileHandle(fileDescriptor: fd, closeOnDealloc: true)
    }

    /// Runs it to its end, which must come within 20 s.
    func run(_ arguments: String..., in folder: TemporaryFolder) throws -> Outcome {
        try run(arguments, in: folder)
    }

    func run(_ arguments: [String], in folder: TemporaryFolder) throws -> Outcome {
        let log = "run-" + UUID().uuidString
        let process = try start(arguments, in: folder, log: log)
        let code = try end(of: process, seconds: 20)
        func text(_ suffix: String) throws -> String {
            try String(contentsOfFile: folder.path + "/" + log + suffix, encoding: .utf8)
        }
        return Outcome(code: code, out: try text(".out"), err: try text(".err"))
    }
}

/// The exit code; signals count as 128 and more. Throws, and kills it, when it goes on.
func end(of process: Process, seconds: Double) throws -> Int32 {
    let isOver = eventually(seconds: seconds) { !process.isRunning }
    guard isOver else {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        throw TestError("\(process.arguments ?? []) didn't end within \(seconds) s")
    }
    return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
}

/// Asks until `condition` holds; false when `seconds` have gone.
func eventually(seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try condition() { return true }
        usleep(2_000)
    }
    return try condition()
}
