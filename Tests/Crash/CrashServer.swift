import CLinuxShim
import Glibc

/// A real otpd with the fault library in it, on a folder of its own.
final class CrashServer {
    let folder: String
    let control: FaultControl
    private let program: String
    private let library: String
    private let dataFolder: String
    private(set) var pid: pid_t = 0

    var socket: String { folder + "/s" }
    var data: String { dataFolder + "/data" }
    var errors: String { folder + "/otpd.err" }

    /// - Parameters:
    ///   - folder: an existing one; its configuration and data are taken over if they are there.
    ///   - dataFolder: where `data` goes, if elsewhere (another file system).
    init(folder: String, dataFolder: String? = nil, library: String, commit: String) throws {
        self.folder = folder
        self.dataFolder = dataFolder ?? folder
        self.library = library
        program = try ownFolder() + "/otpd"
        control = try FaultControl(folder + "/control")
        guard access(folder + "/otpd.toml", F_OK) != 0 else { return }
        try write(
            """
            data = "\(self.dataFolder)/data"
            master_key = "\(folder)/master.key"
            issuer = "crash"
            commit = "\(commit)"
            segment_kib = 256
            [[tenant]]
            number = 1
            name = "shop"
            [[listener]]
            path = "\(folder)/s"
            mode = "0600"
            [[peer]]
            uid = \(geteuid())
            tenant = 1
            roles = ["verify", "redeem", "courier", "observer", "admin"]

            """, to: folder + "/otpd.toml")
    }

    /// The fault library, compiled from the source in the repository.
    static func buildLibrary(in folder: String) throws -> String {
        let source = String(#filePath.dropLast("CrashServer.swift".count)) + "fault/fault.c"
        let library = folder + "/fault.so"
        for compiler in ["clang", "cc"] {
            let code = try run(compiler, "-std=c11", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl")
            if code == 0 { return library }
        }
        throw CrashError("neither clang nor cc could compile \(source)")
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw CrashError("\(path): \(reason())") }
        fputs(text, file)
        fclose(file)
    }

    private func otpd(_ arguments: [String]) -> pid_t {
        let environment = [
            "SWIFT_BACKTRACE=enable=no", "LD_PRELOAD=\(library)", "OTPD_FAULT_CONTROL=\(control.path)",
        ]
        return spawn([program] + arguments, environment: environment, errorsTo: errors)
    }

    /// `otpd init`: key and data folder.
    func create() -> Ending {
        end(of: otpd(["init", "--data", data, "--master-key", folder + "/master.key"]))
    }

    /// Starts the process and returns at once.
    func launch(_ extra: [String] = []) throws {
        precondition(pid == 0, "one server at a time")
        unlink(errors)
        pid = otpd(["--config", folder + "/otpd.toml"] + extra)
        guard pid > 0 else { throw CrashError("fork: \(String(cString: strerror(-pid)))") }
    }

    /// Waits until it accepts; its end if it ends before.
    func awaitReady(seconds: UInt64 = 20) throws -> Ending? {
        let deadline = linux_monotonic_nanos() + seconds * 1_000_000_000
        while linux_monotonic_nanos() < deadline {
            let fd = linux_connect(socket)
            if fd >= 0 {
                close(fd)
                return nil
            }
            if let ending = end(of: pid, within: 0) {
                pid = 0
                return ending
            }
            usleep(300)
        }
        throw Violation("otpd neither listened nor ended within \(seconds) s")
    }

    /// Starts it; it must come up.
    func start(_ extra: [String] = []) throws {
        try launch(extra)
        if let ending = try awaitReady() { throw Violation("otpd didn't start (\(ending)): \(said())") }
    }

    /// Its end, within a while; `nil`: it still runs.
    func ended(within milliseconds: Int) -> Ending? {
        guard pid > 0 else { return nil }
        guard let ending = end(of: pid, within: milliseconds) else { return nil }
        pid = 0
        return ending
    }

    /// kill -9, and the process is gone when it returns. How it ended, if it was there.
    @discardableResult
    func kill9() -> Ending? {
        guard pid > 0 else { return nil }
        kill(pid, SIGKILL)
        let ending = end(of: pid)
        pid = 0
        return ending
    }

    /// SIGTERM and a clean end.
    func stop() throws {
        kill(pid, SIGTERM)
        guard let ending = ended(within: 10_000) else { throw Violation("otpd didn't end within 10 s of SIGTERM") }
        guard ending == .exited(0) else { throw Violation("otpd ended with \(ending) after SIGTERM: \(said())") }
    }

    /// What it wrote to standard error.
    func said() -> String {
        guard let file = fopen(errors, "r") else { return "nothing" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    func remove() throws {
        kill9()
        try removeTree(folder)
    }
}
