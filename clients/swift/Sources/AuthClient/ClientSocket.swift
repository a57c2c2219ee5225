import Glibc
import NIOCore

/// The descriptor of a connection. SwiftNIO's own sockets stay open in programs that the process starts:
/// each would have a connection to otpd, with this process's rights. Ours is closed by `exec`.
enum ClientSocket {
    /// A connected socket, which the caller owns. Doesn't wait: a server whose backlog is full is `EAGAIN`.
    static func connect(path: String) throws -> CInt {
        let address = try SocketAddress(unixDomainSocketPath: path)
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let fd = socket(AF_UNIX, type, 0)
        guard fd >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        let result = address.withSockAddr { Glibc.connect(fd, $0, socklen_t($1)) }
        guard result == 0 else {
            defer { close(fd) }
            throw IOError(errnoCode: errno, reason: "connect")
        }
        return fd
    }
}
