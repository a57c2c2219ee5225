import CLinuxShim
import Glibc
import Wire

/// Connects, leases, delivers, reports; for ever, until SIGTERM or SIGINT.
public struct CourierLoop<G: Gateway> {
    private let socketPath: String
    private var gateway: G
    private let signals: Int32

    /// Blocks SIGTERM and SIGINT and reads them from a descriptor: a stop never cuts a message in half.
    public init(socketPath: String, gateway: G) throws(CourierError) {
        guard socketPath.utf8.count <= 107 else {
            throw CourierError("socket path \(socketPath) is longer than the 107 bytes that the kernel allows")
        }
        self.socketPath = socketPath
        self.gateway = gateway
        signals = linux_stop_signals()
        guard signals >= 0 else { throw CourierError("signalfd: \(String(cString: strerror(-signals)))") }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Returns after a stop signal.
    public mutating func run() {
        var backOffMs: Int32 = 100
        while true {
            let fd = linux_connect(socketPath)
            if fd >= 0 {
                let isStop = serve(fd)
                close(fd)
                if isStop { return }
                backOffMs = 100
            }
            gateway.sweep(nowWallMs: linux_realtime_nanos() / 1_000_000)
            if waitForStop(backOffMs) { return }
            backOffMs = min(backOffMs * 2, 5_000)
        }
    }

    private func waitForStop(_ timeoutMs: Int32) -> Bool {
        var poller = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, timeoutMs) > 0
    }

    /// One connection; true = asked to stop.
    private mutating func serve(_ fd: Int32) -> Bool {
        var session = CourierSession()
        guard send(fd, session.start()) else { return false }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var lastPing = linux_monotonic_nanos()
        while true {
            var pollers = [
                pollfd(fd: fd, events: Int16(POLLIN), revents: 0), pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&pollers, 2, 1_000)
            if count < 0, errno != EINTR { return false }
            if pollers[1].revents != 0 { return true }
            if pollers[0].revents != 0 {
                let received = read(fd, &buffer, buffer.count)
                guard received > 0 else { return false }
                for action in session.receive(buffer.prefix(received)) {
                    guard perform(action, &session, fd) else { return false }
                }
            }
            let now = linux_monotonic_nanos()
            if now - lastPing > 15_000_000_000 {
                lastPing = now
                guard send(fd, session.ping()) else { return false }
            }
            gateway.sweep(nowWallMs: linux_realtime_nanos() / 1_000_000)
        }
    }

    private mutating func perform(_ action: CourierSession.Action, _ session: inout CourierSession, _ fd: Int32) -> Bool {
        switch action {
        case .send(let bytes): return send(fd, bytes)
        case .close: return false
        case .deliver(let message):
            guard message.expiresAtMs > message.engineTimeMs else { return true }
            let life = message.expiresAtMs - message.engineTimeMs
            let outcome = gateway.submit(message, expiresAtWallMs: linux_realtime_nanos() / 1_000_000 + life)
            return send(fd, session.report(message, outcome))
        }
    }

    private func send(_ fd: Int32, _ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(fd, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
