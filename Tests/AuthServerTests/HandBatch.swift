import Store
import Synchronization
import Testing
import Wire

@testable import AuthServer

/// A server without a loop: turns, syncs and checkpoints happen when the test says so, all on its thread.
final class HandBatch {
    let folder: TemporaryFolder
    let batch: Batch
    private let settings: ServerSettings
    private let signals = Signals()
    private var number: UInt64 = 0

    init(_ adjust: (inout ServerSettings) -> Void = { _ in }) throws {
        folder = try TemporaryFolder()
        var settings = try TestServer.settings(in: folder.path)
        settings.runsJobsByHand = true
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

    func peer() throws -> HandPeer {
        let connection = Connection(batch: batch, listener: settings.listeners[0], uid: try #require(settings.peers[0].uid))
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

/// A peer that reads everything, at once.
final class HandPeer: Transport {
    let connection: Connection
    private var received: [UInt8] = []

    init(_ connection: Connection) { self.connection = connection }

    func send(bytes: [UInt8]) { bytes.withUnsafeBytes { connection.received($0) } }
    func send<M: RequestMessage>(_ message: M) throws { send(bytes: try encoded(message)) }

    /// Frames that have come since the last question.
    func take() -> Int {
        var count = 0
        var rest = received[...]
        while rest.count >= 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) } + 4
            guard rest.count >= length else { break }
            rest = rest.dropFirst(length)
            count += 1
        }
        received = Array(rest)
        return count
    }

    /// The frames that have come since the last question; of those that aren't replies, the status is 0.
    func frames() -> [(opcode: UInt16, status: UInt16)] {
        var found: [(opcode: UInt16, status: UInt16)] = []
        received.withUnsafeBytes { bytes in
            var offset = 0
            while let frame = try? Frame.next(in: UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
                let status = frame.flags == .reply ? UInt16(frame.body[0]) << 8 | UInt16(frame.body[1]) : 0
                found.append((frame.opcode, status))
                offset += frame.totalBytes
            }
        }
        received = []
        return found
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        received += bytes
        return bytes.count
    }
    func stopReading() {}
    func close() {}
}
