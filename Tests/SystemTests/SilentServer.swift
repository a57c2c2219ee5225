import CLinuxShim
import Foundation
import Glibc
import Wire

/// Welcomes one client at a time and then never answers: what a server looks like whose machine has just died.
final class SilentServer {
    let path: String
    private let fd: Int32

    init(_ path: String) throws {
        self.path = path
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        self.fd = fd
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0, listen(fd, 8) == 0 else { throw TestError("bind \(path)") }
        Thread.detachNewThread { SilentServer.serve(fd) }
    }

    /// Ends `accept`, and with it the thread.
    deinit {
        shutdown(fd, Int32(SHUT_RDWR))
        close(fd)
    }

    private static func serve(_ fd: Int32) {
        var welcome = Hello.Reply()
        welcome.version = Hello.version
        welcome.tenant = 1
        welcome.roles = Roles.all.rawValue
        welcome.engineTimeMs = 1_800_000_000_000
        var frame = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = frame.withUnsafeMutableBytes { buffer in
            (try? FieldEncoder.reply(welcome, to: Opcode.hello.rawValue, correlation: 1, into: buffer)) ?? 0
        }
        while true {
            let client = accept(fd, nil, nil)
            guard client >= 0 else { return }
            var chunk = [UInt8](repeating: 0, count: 4_096)
            if read(client, &chunk, chunk.count) > 0 { send(client, frame, count, Int32(MSG_NOSIGNAL)) }
            while read(client, &chunk, chunk.count) > 0 {}
            close(client)
        }
    }
}
