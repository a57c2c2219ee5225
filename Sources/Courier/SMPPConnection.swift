import CLinuxShim
import Glibc
import SMPP

/// One connection of a route to its SMSC, made again whenever it ends.
struct SMPPConnection {
    /// Bytes read in a turn: the other descriptors of the loop want their turn too.
    private static let readsPerTurn = 8
    /// For the name, all its addresses and the TLS handshake.
    private static let connectMs: UInt64 = 10_000
    /// A session that stood so long was a sound one: what ends it is a first failure.
    private static let soundMs: UInt64 = 30_000

    private let route: SMPPRoute
    private let mode: SessionSettings.Mode
    private var lookup: HostLookup?
    /// That haven't been tried.
    private var addresses: ArraySlice<HostLookup.Address> = []
    private var link: TCPLink?
    /// The owner submits through it.
    var session: SMPPSession?
    /// For this address, and for all.
    private var connectedBy: UInt64 = 0
    private var giveUpAtMs: UInt64 = 0
    private var isConnecting = false
    private var boundAtMs: UInt64?
    private var retryAtMs: UInt64 = 0
    private var delay = ReconnectDelay()
    private var isStopping = false
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)
    /// Why the last connection ended, for the operator; `nil` when it stands.
    private(set) var trouble: String?

    init(_ route: SMPPRoute, _ mode: SessionSettings.Mode) {
        self.route = route
        self.mode = mode
    }

    var isBound: Bool { session?.isBound == true }
    var isClosed: Bool { link == nil }

    /// Reads what came and looks at the clock.
    mutating func turn(nowMs: UInt64) -> [SMPPSession.Event] {
        if link == nil {
            guard !isStopping, isConnecting || nowMs >= retryAtMs else { return [] }
            findAddress(nowMs)
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
        if isStopping { return [] }
        isStopping = true
        guard session != nil else {
            close()
            return []
        }
        return finish(session?.drain(nowMs: nowMs) ?? [], nowMs)
    }

    func waits(nowMs: UInt64) -> (descriptor: pollfd?, untilMs: UInt64?) {
        guard let link else {
            guard isConnecting, let lookup, !isStopping else { return (nil, isStopping ? nil : retryAtMs) }
            return (pollfd(fd: lookup.fd, events: Int16(POLLIN), revents: 0), giveUpAtMs)
        }
        guard link.isConnected, let session else {
            return (pollfd(fd: link.fd, events: link.connectEvents, revents: 0), connectedBy)
        }
        let events = session.output.isEmpty ? POLLIN : POLLIN | POLLOUT
        let until = link.hasPending ? nowMs : session.deadline(nowMs: nowMs)
        return (pollfd(fd: link.fd, events: Int16(events), revents: 0), until)
    }

    // MARK: making and ending

    /// Begins with the name, or looks what became of it.
    private mutating func findAddress(_ nowMs: UInt64) {
        if !isConnecting {
            isConnecting = true
            giveUpAtMs = nowMs + SMPPConnection.connectMs
        }
        do throws(CourierError) {
            // One that was given up is asked again: the resolver is at it still, and a second thread would get no further.
            let asked: HostLookup
            if let lookup {
                asked = lookup
            } else {
                asked = try HostLookup(host: route.host, port: route.port)
            }
            lookup = asked
            switch asked.answer {
            case .found(let found):
                lookup = nil
                addresses = found[...]
                connectNext("\(route.host) has no address", nowMs)
            case .failed(let why):
                lookup = nil
                give(up: why, nowMs)
            case nil:
                if nowMs >= giveUpAtMs { give(up: "\(route.host): the resolver doesn't answer", nowMs) }
            }
        } catch { give(up: error.description, nowMs) }
    }

    /// The next address; after the last one `why` is the trouble. Each has an equal part of the time that is left.
    private mutating func connectNext(_ why: String, _ nowMs: UInt64) {
        var why = why
        close()
        while let address = addresses.popFirst(), nowMs < giveUpAtMs {
            do throws(CourierError) {
                link = try TCPLink(address, tls: route.tls)
                connectedBy = nowMs + (giveUpAtMs - nowMs) / UInt64(addresses.count + 1)
                return
            } catch { why = error.description }
        }
        give(up: why, nowMs)
    }

    /// Whether a session stands on the connection.
    private mutating func finishConnecting(_ nowMs: UInt64) -> Bool {
        guard let link else { return false }
        if session != nil { return true }
        if !link.isConnected {
            let failure = self.link?.finishConnecting()
            guard self.link?.isConnected == true else {
                if let failure {
                    connectNext(failure, nowMs)
                } else if nowMs >= connectedBy {
                    connectNext("no connection in 10 s", nowMs)
                }
                return false
            }
        }
        do throws(PDUError) {
            isConnecting = false
            session = try SMPPSession(route.session, mode: mode, nowMs: nowMs)
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
                boundAtMs = nowMs
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
                if let since = boundAtMs, nowMs >= since + SMPPConnection.soundMs { delay.reset() }
                boundAtMs = nil
                close()
                comeBackLater(nowMs)
            case .answered, .receipt: break
            }
        }
        return events
    }

    private mutating func give(up why: String, _ nowMs: UInt64) {
        trouble = why
        isConnecting = false
        addresses = []
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
