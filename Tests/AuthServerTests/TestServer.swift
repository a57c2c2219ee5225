import Engine
import Foundation
import Glibc
import LibCrypto
import Logging
import Store
import Testing
import Wire

@testable import AuthServer

/// A whole server in this process, on sockets in a temp folder: two tenants, each with a listener, and a third listener with fewer roles.
final class TestServer {
    let folder: TemporaryFolder
    private(set) var server: Server
    private var settings: ServerSettings
    private var isRunning = false

    /// Tenant 1, all roles.
    var socket: String { folder.path + "/1.sock" }
    /// Tenant 2, all roles.
    var otherSocket: String { folder.path + "/2.sock" }
    /// Tenant 1, role `verify` only.
    var verifySocket: String { folder.path + "/v.sock" }

    /// `path`: a folder that outlives this server, made on first use.
    init(
        in path: String? = nil, _ adjust: (inout ServerSettings) -> Void = { _ in },
        onDrain: @escaping @Sendable () -> Void = {}
    ) throws {
        folder = try path.map { TemporaryFolder(borrowing: $0) } ?? TemporaryFolder()
        var settings = try TestServer.settings(in: folder.path)
        adjust(&settings)
        self.settings = settings
        server = TestServer.server(settings)
        try server.start(onDrain: onDrain)
        isRunning = true
    }

    /// Those of a server in a folder, which gets its key and its data on first use.
    static func settings(in path: String) throws -> ServerSettings {
        let (data, key) = (path + "/data", path + "/master.key")
        if access(key, F_OK) != 0 {
            _ = try MasterKey.create(at: key)
            try Store.create(at: data, master: try MasterKey.load(key))
        }
        var settings = try ServerSettings(
            dataPath: data, masterKeyPath: key, issuer: "test",
            tenants: [
                TenantPolicy(number: 1, name: "one", shop: "One"),
                TenantPolicy(number: 2, name: "two", shop: "Two"),
            ],
            listeners: [
                ListenerRule(path: path + "/1.sock", mode: 0o600, tenants: [1]),
                ListenerRule(path: path + "/2.sock", mode: 0o600, tenants: [2]),
                ListenerRule(path: path + "/v.sock", mode: 0o640, tenants: [1], roles: Roles(.verify)),
            ],
            peers: [
                PeerRule(uid: geteuid(), tenant: 1, roles: .all),
                PeerRule(uid: geteuid(), tenant: 2, roles: .all),
            ])
        settings.commit = .inline
        settings.segmentBytes = 2 << 20
        settings.overlayBytes = 4 << 20
        settings.overlayRecords = 8_192
        return settings
    }

    deinit {
        do { try stop() } catch { print("the server didn't stop well: \(error)") }
    }

    private static func server(_ settings: ServerSettings) -> Server {
        Server(settings: settings, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func stop() throws {
        guard isRunning else { return }
        isRunning = false
        try server.stop()
    }

    /// Stops it, and starts another on the same data, with what `adjust` changes of its settings.
    func restart(_ adjust: (inout ServerSettings) throws -> Void = { _ in }) throws {
        try stop()
        try adjust(&settings)
        server = TestServer.server(settings)
        try server.start(onDrain: {})
        isRunning = true
    }

    /// Runs `body` on the loop's thread.
    func inLoop(_ body: @escaping @Sendable (Batch) -> Void) throws {
        let (batch, _, loop) = try #require(server.served)
        nonisolated(unsafe) let served = batch
        try loop.submit { body(served) }
    }

    /// Connected and welcome.
    func peer(at path: String? = nil, roles: Roles = Roles()) throws -> RawPeer {
        let peer = try RawPeer(path ?? socket)
        try peer.hello(roles: roles)
        return peer
    }

    /// The number behind a name in Stats.
    func statistic(_ name: String) throws -> UInt64 {
        let lines = try peer().exchange(Stats()).decode(Stats.Reply.self).lines.text.split(separator: "\n")
        for line in lines where line.hasPrefix(name + " ") {
            if let value = UInt64(line.dropFirst(name.count + 1)) { return value }
        }
        throw TestError("no statistic \(name)")
    }
}

extension RawPeer {
    /// Says Hello and keeps the answer.
    func hello(tenant: UInt32 = 0, roles: Roles = Roles()) throws {
        var message = Hello()
        message.tenant = tenant
        message.roles = roles.rawValue
        remember(try exchange(message).decode(Hello.Reply.self))
    }

    /// A fresh request id; good for ten minutes after Hello.
    func requestID() -> Bytes16 {
        Bytes16(
            timeMs: server.engineTimeMs, tailHigh: .random(in: 0...UInt16.max),
            tailLow: .random(in: 0...UInt64.max))
    }

    func requestCode(account: String = "alice", phone: String = "+33612345678") -> RequestCode {
        var message = RequestCode()
        message.requestID = requestID()
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes(account)
        message.phone = PhoneBytes(phone)
        message.session = testSession
        return message
    }

    func verify(_ challenge: Bytes16, _ code: CodeBytes) -> Verify {
        var message = Verify()
        message.requestID = requestID()
        message.challenge = challenge
        message.session = testSession
        message.code = code
        return message
    }

    func status(_ challenge: Bytes16) throws -> Received {
        var message = StatusRequest()
        message.challenge = challenge
        message.session = testSession
        return try exchange(message)
    }

    /// Asks for messages and takes the next one.
    func nextMessage() throws -> MessagePush {
        var lease = LeaseMessages()
        lease.credit = 1
        try send(lease)
        while let frame = try next() {
            if frame.opcode == Opcode.message.rawValue { return try frame.decode(MessagePush.self) }
        }
        throw TestError("no message came")
    }
}

/// The code that a message carries: its first word.
func code(in message: MessagePush) -> CodeBytes { CodeBytes(message.text.array.prefix { $0 != 0x20 }) }

/// Another code of the same form.
func wrongCode(for right: CodeBytes) -> CodeBytes {
    CodeBytes(right.array.map { 0x30 + ($0 - 0x30 + 1) % 10 })
}
