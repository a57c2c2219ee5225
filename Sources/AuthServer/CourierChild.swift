import CLinuxShim
import Glibc

/// The courier that a development server starts beside it: spawned before the data folder is opened, ended with the parent.
public struct CourierChild {
    private let pid: pid_t

    /// `gateway`: `console`, or `spool` with the folder for its files.
    public static func start(gateway: String, socket: String, spool: String) -> CourierChild? {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, 4095)
        guard count > 0 else { return nil }
        let own = String(decoding: path.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let slash = own.lastIndex(of: "/") else { return nil }
        let program = own[...slash] + "otp-courier"
        guard access(String(program), X_OK) == 0 else { return nil }
        var arguments = [String(program), gateway, "--socket", socket, "--allow-plaintext"]
        if gateway == "spool" { arguments += ["--directory", spool] }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        let pid = linux_spawn(&argv, &environment)
        return pid > 0 ? CourierChild(pid: pid) : nil
    }

    /// Ends it and waits.
    public func stop() {
        kill(pid, SIGTERM)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }
}
