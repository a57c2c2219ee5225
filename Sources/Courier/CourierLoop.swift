import CLinuxShim
import Glibc
import Wire

/// Connects, leases, delivers, reports; for ever, until SIGTERM or SIGINT.
public struct CourierLoop<G: Gateway> {
    private let socketPath: String
    private var gateway: G
    private let signals: Int32
    private let note: (String) -> Void
    private var lastNote = ""
    /// Engine time less our monotonic clock, milliseconds, and when that was known.
    private var engineAhead: (ms: Int64, knownAtMs: Int64)?

    /// Blocks SIGTERM and SIGINT and reads them from a descriptor: a stop never cuts a message in half.
    /// - Parameter note: gets a sentence when the server turns us away; standard error by default.
    public init(
        socketPath: String, gateway: G, note: ((String) -> Void)? = nil
    ) throws(CourierError) {
        guard socketPath.utf8.count <= 107 else {
            throw CourierError("socket path \(socketPath) is longer than the 107 bytes that the kernel allows")
        }
        self.socketPath = socketPath
        self.gateway = gateway
        self.note = note ?? { text in
            let line = Array("otp-courier: \(text)\n".utf8)
            _ = write(2, line, line.count)
        }
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
                let end = serve(fd)
                close(fd)
                if end == .stop { return }
                if end == .served { backOffMs = 100 }
            } else if backOffMs > 2_000 {
                // The first seconds are a server's start.
                explain("\(socketPath): \(String(cString: strerror(-fd))). Is otpd running?")
            }
            gateway.sweep(nowWallMs: linux_realtime_nanos() / 1_000_000)
            if waitForStop(backOffMs) { return }
            backOffMs = min(backOffMs * 2, 5_000)
        }
    }

    /// Says each thing once, not at every attempt.
    private mutating func explain(_ text: String) {
        guard text != lastNote else { return }
        lastNote = text
        note(text)
    }

    private func waitForStop(_ timeoutMs: Int32) -> Bool {
        var poller = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, timeoutMs) > 0
    }

    /// How a connection ended. A server that turns us away isn't asked again at once.
    private enum End { case stop, served, turnedAway }

    private mutating func serve(_ fd: Int32) -> End {
        var session = CourierSession()
        var end = End.turnedAway
        engineAhead = nil
        guard send(fd, session.start()) else { return end }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var lastPing = linux_monotonic_nanos()
        while true {
            var pollers = [
                pollfd(fd: fd, events: Int16(POLLIN), revents: 0), pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&pollers, 2, 1_000)
            if count < 0, errno != EINTR { return end }
            if pollers[1].revents != 0 { return .stop }
            if pollers[0].revents != 0 {
                let received = read(fd, &buffer, buffer.count)
                guard received > 0 else { return end }
                for action in session.receive(buffer.prefix(received)) {
                    if case .ready = action { end = .served }
                    guard perform(action, &session, fd) else { return end }
                }
            }
            let now = linux_monotonic_nanos()
            if now - lastPing > 15_000_000_000 {
                lastPing = now
                guard send(fd, session.ping()) else { return end }
            }
            gateway.sweep(nowWallMs: linux_realtime_nanos() / 1_000_000)
        }
    }

    private mutating func perform(_ action: CourierSession.Action, _ session: inout CourierSession, _ fd: Int32) -> Bool {
        switch action {
        case .send(let bytes): return send(fd, bytes)
        case .clock(let engineTimeMs):
            _ = engineNow(atLeast: engineTimeMs)
            return true
        case .ready:
            lastNote = ""
            return true
        case .close(let why, let isOrderly):
            if !isOrderly { explain(why) }
            return false
        case .deliver(let message):
            let now = engineNow(atLeast: message.engineTimeMs)
            guard message.expiresAtMs > now else { return true }
            let life = message.expiresAtMs - now
            let outcome = gateway.submit(message, expiresAtWallMs: linux_realtime_nanos() / 1_000_000 + life)
            return send(fd, session.report(message, outcome))
        }
    }

    /// Engine time now, from a stamp in a frame: the message may have waited in the socket while the gateway
    /// was busy, so the greatest lead seen counts. It fades by 1,000 ppm: the engine's clock may be slewed,
    /// by 500 at most.
    private mutating func engineNow(atLeast stampMs: UInt64) -> UInt64 {
        let monotonicMs = Int64(linux_monotonic_nanos() / 1_000_000)
        let shown = Int64(clamping: stampMs) - monotonicMs
        let faded = engineAhead.map { $0.ms - (monotonicMs - $0.knownAtMs) / 1_000 } ?? Int64.min
        if shown >= faded { engineAhead = (shown, monotonicMs) }
        return UInt64(clamping: max(shown, faded) + monotonicMs)
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
