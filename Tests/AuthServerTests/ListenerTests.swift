import Foundation
import Glibc
import Testing
import Wire

@testable import AuthServer

/// The socket file: its mode, a stale one, another server's, one that isn't a socket.
@Suite struct ListenerTests {
    /// A server with one listener, at `path`.
    private func start(_ path: String) throws -> TestServer {
        try TestServer { $0.listeners = [ListenerRule(path: path, mode: 0o600, tenants: [1])] }
    }

    /// A bound socket in the file system; the descriptor, or -1.
    private func bind(_ path: String) -> Int32 {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return code == 0 ? fd : -1
    }

    @Test func theFileHasItsModeAndGoesAtTheEnd() throws {
        let server = try TestServer()
        var info = stat()
        #expect(stat(server.socket, &info) == 0)
        #expect(info.st_mode & S_IFMT == S_IFSOCK && info.st_mode & 0o777 == 0o600)
        #expect(stat(server.verifySocket, &info) == 0)
        #expect(info.st_mode & 0o777 == 0o640)
        try server.stop()
        #expect(stat(server.socket, &info) != 0)
    }

    @Test func aStaleFileIsReplaced() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/s"
        let fd = bind(path)
        try #require(fd >= 0)
        close(fd)  // the file stays, nobody listens: what kill -9 leaves behind
        #expect(throws: TestError.self) { try RawPeer(path) }
        let server = try start(path)
        #expect(try server.peer(at: path).exchange(Ping()).status == .done)
    }

    @Test func aLiveOneIsRefusedAndGoesOn() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/s"
        let first = try start(path)
        let peer = try first.peer(at: path)
        do {
            _ = try start(path)
            Issue.record("two servers at one path")
        } catch { #expect("\(error)" == "another otpd listens at \(path)", "\(error)") }
        #expect(try peer.exchange(Ping()).status == .done)
        #expect(try first.peer(at: path).exchange(Ping()).status == .done)
    }

    @Test func anotherProgramsSocketIsRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/s"
        let fd = bind(path)
        try #require(fd >= 0 && listen(fd, 4) == 0)
        defer { close(fd) }
        do {
            _ = try start(path)
            Issue.record("another program's socket was taken")
        } catch { #expect("\(error)".hasPrefix("another program listens at \(path)"), "\(error)") }
        let peer = try RawPeer(path)
        peer.close()
    }

    @Test func aFileThatIsNoSocketStays() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("precious", to: "s")
        do {
            _ = try start(path)
            Issue.record("a file was replaced")
        } catch { #expect("\(error)".hasPrefix("\(path) exists and is not a socket"), "\(error)") }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test func aPathOver107BytesIsRefusedWithAWord() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/" + String(repeating: "s", count: 107 - folder.path.utf8.count)
        do {
            _ = try start(path)
            Issue.record("\(path.utf8.count) bytes were taken")
        } catch { #expect("\(error)".contains("has 108 bytes; the kernel allows 107"), "\(error)") }
        let fits = String(path.dropLast())
        let server = try start(fits)
        #expect(try server.peer(at: fits).exchange(Ping()).status == .done)
    }

    /// Who may open it is a matter of its group, which otpd's user may give if it is a member.
    @Test func theSocketHasItsGroup() throws {
        guard geteuid() == 0 else { return }
        let folder = try TemporaryFolder()
        let path = folder.path + "/s"
        let server = try TestServer {
            $0.listeners = [ListenerRule(path: path, mode: 0o660, tenants: [1], group: 1)]
        }
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_gid == 1 && info.st_mode & 0o777 == 0o660)
        _ = server
    }

    @Test func aFolderThatIsNotThereIsNamed() throws {
        let folder = try TemporaryFolder()
        do {
            _ = try start(folder.path + "/none/s")
            Issue.record("a socket in no folder")
        } catch { #expect("\(error)".contains("doesn't exist: as root, `install -d -o "), "\(error)") }
    }
}
