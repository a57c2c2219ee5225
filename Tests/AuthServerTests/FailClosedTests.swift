import Foundation
import Glibc
import Store
import Testing
import Wire

@testable import AuthServer

/// A commit that fails ends the process at once; nobody is told that it was done (P2, P6).
@Suite struct FailClosedTests {
    /// From here on no file of this process may grow or be written; sockets go on.
    static func forbidWrites() {
        signal(SIGXFSZ, SIG_IGN)
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &none) == 0, "RLIMIT_FSIZE")
    }

    @Test(arguments: CommitMode.allCases.map(\.rawValue).filter { $0 != "auto" })
    func aFailedCommitEndsTheProcess(_ mode: String) async throws {
        let folder = try TemporaryFolder()
        await #expect(processExitsWith: .exitCode(70)) {
            [root = folder.path as String, mode = mode as String] in
            setenv("TMPDIR", root, 1)
            let server = try TestServer { $0.commit = CommitMode(rawValue: mode) ?? .auto }
            let peer = try server.peer()
            FailClosedTests.forbidWrites()
            _ = try peer.exchange(peer.requestCode())
            // It was answered, though nothing was written.
            _exit(1)
        }
    }
}
