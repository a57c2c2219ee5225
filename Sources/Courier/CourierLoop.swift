import CLinuxShim
import Glibc
import Wire

/// Connects, leases, delivers, reports; for ever, until SIGTERM or SIGINT. One thread and one poll(2) for the server, the gateway and
/// the signals: the gateway goes on while the server is away, and what it has to report waits.
public struct CourierLoop<G: Gateway> {
    /// How long a stop waits for the gateway's answers, and then for the server's.
    private static var stopMs: UInt64 { 10_000 }
    private static var farewellMs: UInt64 { 500 }

    private let socketPath: String
    private var gateway: G
    private let signals: Int32
    private let note: (String) -> Void
    private var lastNote = ""
    private var server: ServerLink?
    /// Reports that the last connection left behind.
    private var unsettled: [ReportMessage] = []
    private var connectAtMs: UInt64 = 0
    private var backOffMs: UInt64 = 100
    /// When the stop must be over.
    private var stopByMs: UInt64?

    /// Blocks SIGTERM, SIGINT and SIGHUP and reads them from a descriptor: a stop never cuts a message in half.
    /// - Parameter note: gets a sentence when the server turns us away; standard error by default.
    public init(
        socketPath: String, gateway: G, note: ((String) -> Void)? = nil
    ) throws(CourierError) {
        guard socketPath.utf8.count <= 107 else {
            throw CourierError(
                "socket path \(socketPath) is longer than the 107 bytes that the kernel allows")
        }
        self.socketPath = socketPath
        self.gateway = gateway
        self.note = note ?? CourierNote.standardError
        signals = linux_stop_signals()
        guard signals >= 0 else { throw CourierError("signalfd: \(String(cString: strerror(-signals)))") }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Returns after a stop signal, when what was under way is settled.
    public mutating func run() {
        while true {
            let isSignalled = wait()
            let now = linux_boottime_nanos() / 1_000_000
            if isSignalled, stopByMs == nil {
                stopByMs = now + Self.stopMs
                gateway.stop(nowMs: now)
            }
            connectIfDue(now)
            readServer(now)
            for report in gateway.turn(nowMs: now) { tell(report) }
            if hasStopped(now) { break }
            keepServer(now)
        }
        if let server { close(server.fd) }
    }

    /// Until something happens or is due; whether a stop signal is there.
    private func wait() -> Bool {
        let now = linux_boottime_nanos() / 1_000_000
        let waits = gateway.waits(nowMs: now)
        // A second: pings and sweeps.
        var until = min(now + 1_000, waits.untilMs ?? UInt64.max)
        if stopByMs != nil { until = min(until, now + 20) }
        var pollers = waits.descriptors
        if let server {
            pollers.append(pollfd(fd: server.fd, events: Int16(POLLIN), revents: 0))
        } else {
            until = min(until, connectAtMs)
        }
        if stopByMs == nil { pollers.append(pollfd(fd: signals, events: Int16(POLLIN), revents: 0)) }
        guard poll(&pollers, nfds_t(pollers.count), Int32(until > now ? until - now : 0)) > 0 else {
            return false
        }
        return stopByMs == nil && pollers.last?.revents != 0
    }

    // MARK: the server

    private mutating func connectIfDue(_ now: UInt64) {
        // A stop waits for a server that is away, while there is something to tell it.
        guard server == nil, stopByMs == nil || !unsettled.isEmpty, now >= connectAtMs else { return }
        let fd = linux_connect(socketPath)
        if fd >= 0 {
            server = ServerLink(
                fd: fd, session: CourierSession(room: room(now), unsettled: unsettled), nowMs: now)
            unsettled = []
        } else {
            // The first seconds are a server's start.
            if backOffMs > 2_000 {
                explain(NoServer.why(socketPath, -fd))
            }
            comeBackLater(now)
        }
    }

    private mutating func comeBackLater(_ now: UInt64) {
        connectAtMs = now + backOffMs
        backOffMs = min(backOffMs * 2, 5_000)
    }

    private mutating func readServer(_ now: UInt64) {
        guard let actions = server?.receive() else { return }
        for action in actions where server != nil {
            switch action {
            case .send(let bytes): server?.send(bytes)
            case .clock(let engineTimeMs): server?.clock.see(engineTimeMs, monotonicMs: now)
            case .ready:
                lastNote = ""
                backOffMs = 100
            case .close(let why, let isOrderly):
                if !isOrderly { explain(why) }
                leaveServer(now)
            case .deliver(let message): deliver(message, now)
            case .drain(let name, let isDrained): gateway.set(drained: isDrained, name)
            }
        }
    }

    private mutating func deliver(_ message: MessagePush, _ now: UInt64) {
        guard let engineNow = server?.clock.now(atLeast: message.engineTimeMs, monotonicMs: now),
            message.expiresAtMs > engineNow
        else { return }
        let life = message.expiresAtMs - engineNow
        let lease = message.leaseUntilMs > engineNow ? message.leaseUntilMs - engineNow : 0
        let submission = Submission(
            message: message, expiresAtMs: now + life, leaseUntilMs: now + lease,
            expiresAtWallMs: linux_realtime_nanos() / 1_000_000 + life)
        if stopByMs != nil {
            tell(submission.report(.notSubmitted, reason: "the courier stops"))
        } else {
            for report in gateway.take(submission, nowMs: now) { tell(report) }
        }
    }

    private mutating func tell(_ report: ReportMessage) {
        guard server != nil else {
            if unsettled.count >= CourierSession.maxWaiting { unsettled.removeFirst() }
            unsettled.append(report)
            return
        }
        server?.report(report)
    }

    /// Credit, pings, reports that were refused for a moment; and the end of a connection that failed.
    private mutating func keepServer(_ now: UInt64) {
        if server != nil { for receipt in gateway.takeReceipts() { server?.tell(receipt) } }
        let room = room(now)
        let routes = server?.tellsRoutes(nowMs: now) == true ? gateway.routes(nowMs: now) : []
        server?.keep(room: room, routes: routes, nowMs: now)
        if server?.isBroken == true { leaveServer(now) }
    }

    private func room(_ now: UInt64) -> Int { stopByMs == nil ? gateway.room(nowMs: now) : 0 }

    private mutating func leaveServer(_ now: UInt64) {
        guard let left = server else { return }
        server = nil
        unsettled = left.session.unsettled
        close(left.fd)
        comeBackLater(now)
    }

    private mutating func hasStopped(_ now: UInt64) -> Bool {
        guard let end = stopByMs else { return false }
        let isTold = server?.session.unsettled.isEmpty ?? unsettled.isEmpty
        if now >= end || (gateway.isIdle && isTold) { return true }
        if gateway.isIdle, server != nil { stopByMs = min(end, now + Self.farewellMs) }
        return false
    }

    /// Says each thing once, not at every attempt.
    private mutating func explain(_ text: String) {
        guard text != lastNote else { return }
        lastNote = text
        note(text)
    }
}

/// Where a courier tells what it has to tell.
public enum CourierNote {
    /// One line.
    public static func standardError(_ text: String) {
        let line = Array("otp-courier: \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}
