import Store
import Synchronization
import Testing
import Wire

@testable import AuthServer

/// A server without a loop: turns, syncs and checkpoints happen when the test says so, all on its thread.
final class HandBatch {
    /// A user beside the one that runs the tests.
    static let otherUID: UInt32 = 4_242

    let folder: TemporaryFolder
    let batch: Batch
    private let settings: ServerSettings
    private let signals = Signals()
    private var number: UInt64 = 0

    init(_ adjust: (inout ServerSettings) -> Void = { _ in }) throws {
        folder = try TemporaryFolder()
        var settings = try TestServer.settings(in: folder.path)
        settings.runsJobsByHand = true
        settings.peers.append(PeerRule(uid: HandBatch.otherUID, tenant: 1, roles: .all))
        adjust(&settings)
        self.settings = settings
        batch = try ServerCore(settings, master: try MasterKey.load(settings.masterKeyPath)).makeBatch { [signals] signal in
            if signal == .synced { signals.synced.withLock { $0 += 1 } }
        }
        turn()
        while batch.store.isCommitting { sync() }
    }

    /// All turns that are wanted.
    func turn() {
        while batch.wantsTurn { batch.turn() }
    }

    /// The sync under way ends.
    func sync() {
        batch.store.runJournalJob()
        #expect(signals.synced.withLock { $0 } == 1, "a sync was under way")
        signals.synced.withLock { $0 = 0 }
        batch.take(.synced)
        turn()
    }

    func peer(uid: UInt32? = nil, tenant: Int = 1) throws -> HandPeer {
        let own = try #require(settings.peers[0].uid)
        let connection = Connection(batch: batch, listener: settings.listeners[tenant - 1], uid: uid ?? own)
        let peer = HandPeer(connection)
        connection.begin(on: peer)
        try peer.send(Hello())
        turn()
        #expect(peer.take() == 1)
        return peer
    }

    /// A request of a shopper of its own.
    func requestCode() -> RawFrame {
        number += 1
        let id = Bytes16(high: batch.clock.now().engineMs << 16 | number, low: number)
        return RawFrame(
            Opcode.requestCode,
            body: requestCodeBody(id: id, account: Array("shopper-\(number)".utf8), phone: Array("+3361234\(1_000 + number)".utf8)))
    }

    /// A guess at a challenge that isn't there.
    func dudVerify() -> RawFrame {
        number += 1
        let now = batch.clock.now().engineMs
        let id = Bytes16(high: now << 16 | number & 0xFFFF, low: number)
        return RawFrame(Opcode.verify, body: verifyBody(id: id, challenge: id, code: Array("123456".utf8)))
    }

    func close(_ peers: [HandPeer]) throws {
        for peer in peers { peer.connection.ended() }
        turn()
        while batch.store.isCommitting { sync() }
        batch.letGo()
        batch.store.onSynced = nil
        batch.store.onCheckpointDone = nil
        batch.store.abandon()
    }

    private final class Signals: Sendable {
        let synced = Mutex(0)
    }
}

/// A peer that reads everything, at once, unless it is told to read nothing.
final class HandPeer: Transport {
    let connection: Connection
    private var received: [UInt8] = []
    /// From false to true: it reads again.
    var reads = true {
        didSet { if reads { connection.canSend() } }
    }

    init(_ connection: Connection) { self.connection = connection }

    func send(bytes: [UInt8]) { bytes.withUnsafeBytes { connection.received($0) } }
    func send<M: RequestMessage>(_ message: M) throws { send(bytes: try encoded(message)) }

    /// How many frames have come since the last question.
    func take() -> Int { frames().count }

    /// Frames that have come since the last question.
    func frames() -> [RawPeer.Received] {
        var found: [RawPeer.Received] = []
        var rest = received[...]
        while rest.count >= 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) } + 4
            guard rest.count >= length else { break }
            let frame = Array(rest.prefix(length))
            let words = stride(from: 4, to: 8, by: 2).map { UInt16(frame[$0]) << 8 | UInt16(frame[$0 + 1]) }
            found.append(
                RawPeer.Received(
                    opcode: words[0], flags: FrameFlags(rawValue: words[1]), correlation: 0,
                    body: Array(frame[FrameLimits.headerBytes...])))
            rest = rest.dropFirst(length)
        }
        received = Array(rest)
        return found
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard reads else { return 0 }
        received += bytes
        return bytes.count
    }
    func stopReading() {}
    func close() {}
}
