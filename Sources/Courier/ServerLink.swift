import Glibc
import Wire

/// One connection to the server: the session and its socket. Writes may block: the server always reads.
struct ServerLink {
    let fd: Int32
    private(set) var session: CourierSession
    var clock = EngineLead()
    private(set) var isBroken = false
    private var pingedAtMs: UInt64
    private var keptAtMs: UInt64
    /// How our gateways do is told each second, so that an operator's wish is heard soon.
    private static let tellMs: UInt64 = 1_000
    private var toldAtMs: UInt64 = 0
    private var nextRoute = 0
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)

    init(fd: Int32, session: CourierSession, nowMs: UInt64) {
        self.fd = fd
        self.session = session
        pingedAtMs = nowMs
        keptAtMs = nowMs
        send(self.session.start())
    }

    /// What has come, without waiting.
    mutating func receive() -> [CourierSession.Action] {
        let count = recv(fd, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 { return session.receive(buffer.prefix(count)) }
        if count == 0 || (errno != EAGAIN && errno != EINTR) { isBroken = true }
        return []
    }

    mutating func report(_ report: ReportMessage) { send(session.report(report)) }

    /// A receipt that no message here is about. One that is lost or refused isn't repeated: the next words of the gateway are another's.
    mutating func tell(_ receipt: ReportReceipt) { send(session.tell(receipt)) }

    /// Tells the server how many messages the gateway takes; each second repeats reports that were refused for the moment; each 15 s says
    /// that we are there.
    /// `routes`: when `tellsRoutes`.
    mutating func keep(room: Int, routes: [ReportRoute], nowMs: UInt64) {
        send(session.set(room: room))
        if !routes.isEmpty { tell(routes, nowMs) }
        if nowMs >= keptAtMs + 1_000 {
            keptAtMs = nowMs
            send(session.sendReports())
        }
        if nowMs >= pingedAtMs + 15_000 {
            pingedAtMs = nowMs
            send(session.ping())
        }
    }

    /// It is time to say how our gateways do.
    func tellsRoutes(nowMs: UInt64) -> Bool { nowMs >= toldAtMs + ServerLink.tellMs }

    /// A few of them each time, in turns.
    private mutating func tell(_ routes: [ReportRoute], _ nowMs: UInt64) {
        toldAtMs = nowMs
        let first = nextRoute % routes.count
        let frames = session.tell(Array((routes[first...] + routes[..<first]).prefix(CourierSession.maxRoutes)))
        if !frames.isEmpty { nextRoute = first + CourierSession.maxRoutes }
        send(frames)
    }

    mutating func send(_ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count, !isBroken {
            let count = bytes.withUnsafeBytes {
                write(fd, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { isBroken = true } else { done += count }
        }
    }
}

/// What the engine's clock shows, from its stamps in frames and our own clock since. The message may have waited in the socket, so
/// the greatest lead seen counts. It fades by 1,000 ppm: the engine's clock may be slewed, by 500 at most.
struct EngineLead {
    private var lead: (ms: Int64, knownAtMs: Int64)?

    mutating func see(_ stampMs: UInt64, monotonicMs: UInt64) {
        _ = now(atLeast: stampMs, monotonicMs: monotonicMs)
    }

    mutating func now(atLeast stampMs: UInt64, monotonicMs: UInt64) -> UInt64 {
        let monotonicMs = Int64(monotonicMs)
        let shown = Int64(clamping: stampMs) - monotonicMs
        let faded = lead.map { $0.ms - (monotonicMs - $0.knownAtMs) / 1_000 } ?? Int64.min
        if shown >= faded { lead = (shown, monotonicMs) }
        return UInt64(clamping: max(shown, faded) + monotonicMs)
    }
}
