import CLinuxShim
import Glibc
import SMPP

/// One connection of a route to its SMSC, made again whenever it ends.
struct SMPPConnection {
    /// Bytes read in a turn: the other descriptors of the loop want their turn too.
    private static let readsPerTurn = 8
    private static let connectMs: UInt64 = 10_000

    private let route: SMPPRoute
    private let settings: SessionSettings
    private var link: TCPLink?
    /// The owner submits through it.
    var session: SMPPSession?
    private var connectedBy: UInt64 = 0
    private var retryAtMs: UInt64 = 0
    private var delay = ReconnectDelay()
    private var isStopping = false
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)
    /// Why the last connection ended, for the operator; `nil` when it stands.
    private(set) var trouble: String?

    init(_ route: SMPPRoute, _ mode: SessionSettings.Mode) {
        self.route = route
        var settings = route.session
        settings.mode = mode
        self.settings = settings
    }

    var isBound: Bool { session?.isBound == true }
    var isClosed: Bool { link == nil }

    /// Reads what came and looks at the clock.
    mutating func turn(nowMs: UInt64) -> [SMPPSession.Event] {
        if link == nil {
            guard !isStopping, nowMs >= retryAtMs else { return [] }
            connect(nowMs)
        }
        guard finishConnecting(nowMs) else { return [] }
        var events: [SMPPSession.Event] = []
        for _ in 0..<SMPPConnection.readsPerTurn {
            guard let link, session != nil else { break }
            switch link.read(into: &buffer) {
            case .bytes(let count): events += session?.receive(buffer.prefix(count), nowMs: nowMs) ?? []
            case .wouldBlock: return finish(events + (session?.tick(nowMs: nowMs) ?? []), nowMs)
            case .closed(let why):
                trouble = why
                events += session?.lost() ?? []
            }
            if events.contains(where: SMPPConnection.isEnd) { break }
        }
        return finish(events + (session?.tick(nowMs: nowMs) ?? []), nowMs)
    }

    /// Writes what there is to write.
    mutating func write(nowMs: UInt64) -> [SMPPSession.Event] {
        while let link, link.isConnected, let output = session?.output, !output.isEmpty {
            switch link.write(output) {
            case .bytes(let count): session?.wrote(count)
            case .wouldBlock: return []
            case .closed(let why):
                trouble = why
                return finish(session?.lost() ?? [], nowMs)
            }
        }
        return []
    }

    mutating func stop(nowMs: UInt64) -> [SMPPSession.Event] {
        isStopping = true
        guard session != nil else {
            close()
            return []
        }
        return finish(session?.drain(nowMs: nowMs) ?? [], nowMs)
    }

    func waits(nowMs: UInt64) -> (descriptor: pollfd?, untilMs: UInt64?) {
        guard let link else { return (nil, isStopping ? nil : retryAtMs) }
        guard link.isConnected, let session else {
            return (pollfd(fd: link.fd, events: link.connectEvents, revents: 0), connectedBy)
        }
        let events = session.output.isEmpty ? POLLIN : POLLIN | POLLOUT
        let until = link.hasPending ? nowMs : session.deadline(nowMs: nowMs)
        return (pollfd(fd: link.fd, events: Int16(events), revents: 0), until)
    }

    // MARK: making and ending

    private mutating func connect(_ nowMs: UInt64) {
        do throws(CourierError) {
            link = try TCPLink(host: route.host, port: route.port, tls: route.tls)
            connectedBy = nowMs + SMPPConnection.connectMs
        } catch {
            trouble = error.description
            comeBackLater(nowMs)
        }
    }

    /// Whether a session stands on the connection.
    private mutating func finishConnecting(_ nowMs: UInt64) -> Bool {
        guard let link else { return false }
        if session != nil { return true }
        if !link.isConnected {
            let failure = self.link?.finishConnecting()
            guard self.link?.isConnected == true else {
                if let failure {
                    give(up: failure, nowMs)
                } else if nowMs >= connectedBy {
                    give(up: "no connection in 10 s", nowMs)
                }
                return false
            }
        }
        do throws(PDUError) {
            session = try SMPPSession(settings, nowMs: nowMs)
            return true
        } catch {
            give(up: "the bind can't be written: \(error)", nowMs)
            return false
        }
    }

    private static func isEnd(_ event: SMPPSession.Event) -> Bool {
        if case .ended = event { true } else { false }
    }

    /// Looks for the session's beginning and end among its events.
    private mutating func finish(_ events: [SMPPSession.Event], _ nowMs: UInt64) -> [SMPPSession.Event] {
        for event in events {
            switch event {
            case .bound:
                delay.reset()
                trouble = nil
            case .ended(let end):
                // Whoever says goodbye may still hear our answer to it.
                if let link, link.isConnected, let output = session?.output, !output.isEmpty {
                    _ = link.write(output)
                }
                switch end {
                case .lost, .drained: break
                case .bindRefused(let status): trouble = "the SMSC refused the bind: \(status)"
                case .bindTimedOut: trouble = "the SMSC didn't answer the bind"
                case .silent: trouble = "the SMSC went silent"
                case .badProtocol(let error): trouble = "the SMSC broke the protocol: \(error)"
                case .unread: trouble = "the SMSC doesn't read"
                case .unboundByPeer: trouble = "the SMSC unbound"
                }
                close()
                comeBackLater(nowMs)
            case .answered, .receipt: break
            }
        }
        return events
    }

    private mutating func give(up why: String, _ nowMs: UInt64) {
        trouble = why
        close()
        comeBackLater(nowMs)
    }

    private mutating func close() {
        link?.close()
        link = nil
        session = nil
    }

    private mutating func comeBackLater(_ nowMs: UInt64) {
        retryAtMs = nowMs + delay.next(random: UInt64.random(in: .min ... .max))
    }
}
