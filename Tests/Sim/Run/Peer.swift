import AuthServer
import Wire

/// One connection to the simulated server, seen from the other end: bytes queued, bytes delivered, frames received.
final class Peer: Transport {
    enum Kind { case web, narrow, support, courier, observer, recorder, hostile }

    let kind: Kind
    let tenant: UInt32
    let uid: UInt32
    private let machine: Machine
    /// The server's side; `nil` once it has ended.
    private var connection: Connection?
    private var isEnding = false
    private var isHeard = true
    /// Bytes on their way to the server.
    private(set) var outgoing: [UInt8] = []
    /// Bytes from the server that aren't whole frames yet.
    private var incoming: [UInt8] = []
    private(set) var isOpen = true
    /// This end gave up: what still comes is lost.
    private(set) var isCut = false
    /// What waits for its reply, by correlation.
    var waiting: [UInt32: Attempt] = [:]
    private var correlation: UInt32 = 0
    /// Of a courier: credit it has given and messages took.
    var credit = 0
    /// Of an observer.
    var stream: ObservedStream?

    init(_ kind: Kind, tenant: UInt32, uid: UInt32, machine: Machine) throws {
        self.kind = kind
        self.tenant = tenant
        self.uid = uid
        guard let server = machine.server else { preconditionFailure("a peer connects to a running server") }
        self.machine = machine
        let connection = Connection(batch: server, listener: machine.listener, uid: uid)
        self.connection = connection
        connection.begin(on: self)
    }

    func nextCorrelation() -> UInt32 {
        correlation += 1
        return correlation
    }

    func queue(_ bytes: [UInt8]) { outgoing += bytes }

    /// The first `count` bytes on their way arrive.
    func deliver(_ count: Int, _ digest: inout Digest) {
        guard isOpen, count > 0, !outgoing.isEmpty else { return }
        let part = outgoing.prefix(count)
        digest.add(part)
        outgoing.removeFirst(part.count)
        guard isHeard else { return }
        Array(part).withUnsafeBytes { connection?.received($0) }
    }

    /// This end closes, or the connection breaks: what is on its way is lost in both directions.
    func cut() {
        isOpen = false
        isCut = true
        outgoing = []
        incoming = []
        waiting = [:]
        close()
    }

    func received(_ bytes: [UInt8]) { incoming += bytes }

    // MARK: what the server does to its side

    /// Takes the server's output at the moment that it leaves: what a dead machine would still send is dropped.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard machine.isAlive, !isEnding else { return bytes.count }
        machine.arrivals.append((self, Array(bytes)))
        return bytes.count
    }

    func stopReading() { isHeard = false }

    func close() {
        guard !isEnding else { return }
        isEnding = true
        machine.ends(self)
    }

    func ended() {
        if machine.isAlive { isOpen = false }
        connection?.ended()
        connection = nil
    }

    /// Whole frames that have come, in order.
    func takeFrames(_ digest: inout Digest, _ body: (Frame) throws -> Void) rethrows {
        guard !incoming.isEmpty else { return }
        let bytes = incoming
        incoming = []
        digest.add(bytes[...])
        var offset = 0
        try bytes.withUnsafeBytes { raw in
            while offset < raw.count {
                let rest = UnsafeRawBufferPointer(rebasing: raw[offset...])
                var next: Frame?
                do { next = try Frame.next(in: rest) } catch {
                    preconditionFailure("the server sent a bad frame: \(error)")
                }
                guard let frame = next else { break }
                offset += frame.totalBytes
                try body(frame)
            }
        }
        if offset < bytes.count { incoming = Array(bytes[offset...]) + incoming }
    }
}
