import Foundation
import Glibc
import Testing
import Wire

@testable import AuthServer

/// A request that crashes the server: after the second time it is refused, and everybody else is served. Each crash is a real process's.
@Suite struct PoisonTests {
    /// A Cancel of this session crashes the server, wherever it comes from.
    private static let poison = Bytes32(head: Bytes16(high: 0xBAD, low: 0xBAD), tail: Bytes16(high: 0xBAD, low: 0xBAD))

    private static let trap: @Sendable (Frame) -> Void = { frame in
        guard frame.opcode == Opcode.cancel.rawValue, frame.body.count >= 64 else { return }
        if frame.body.loadUnaligned(fromByteOffset: 32, as: UInt64.self) == UInt64(0xBAD).bigEndian {
            // Ends at once, without Swift's crash reporter: this is what kill -9 or a trap leaves behind.
            abort()
        }
    }

    private static func cancel(_ id: UInt64, time: UInt64) -> Cancel {
        var message = Cancel()
        message.requestID = Bytes16(timeMs: time, tailHigh: 1, tailLow: id)
        message.challenge = Bytes16(high: 1, low: 2)
        message.session = poison
        return message
    }

    /// In a process of its own: serves, is sent the poison, and dies.
    private static func dieOfPoison(folder: String, time: UInt64) async {
        do {
            let server = try TestServer(in: folder) { $0.trap = trap }
            _ = try server.peer().exchange(cancel(1, time: time))
        } catch { exit(9) }
        exit(8)
    }

    @Test func refusedAfterTheSecondCrash() async throws {
        let folder = try TemporaryFolder()
        let time = UInt64(Date().timeIntervalSince1970 * 1_000)
        setenv("OTPD_POISON_FOLDER", folder.path, 1)
        setenv("OTPD_POISON_TIME", "\(time)", 1)
        for crash in 1...2 {
            await #expect(processExitsWith: .signal(SIGABRT)) {
                guard let folder = getenv("OTPD_POISON_FOLDER"), let text = getenv("OTPD_POISON_TIME"),
                    let time = UInt64(String(cString: text))
                else { exit(7) }
                await PoisonTests.dieOfPoison(folder: String(cString: folder), time: time)
            }
            let server = try TestServer(in: folder.path) { $0.trap = nil }
            #expect(try server.statistic("crash_notes") == 1, "after crash \(crash)")
            #expect(try server.statistic("quarantined_requests") == (crash == 2 ? 1 : 0))
        }

        // With the trap set again: the poison is refused, its neighbours and everybody else are served.
        let server = try TestServer(in: folder.path) { $0.trap = Self.trap }
        let peer = try server.peer()
        for _ in 0..<3 {
            let refusal = try peer.exchange(Self.cancel(1, time: time)).refusal()
            #expect(refusal.statusCode == Status.quarantined.rawValue)
            #expect(refusal.neutral == NeutralClass.unavailable.rawValue)
        }
        #expect(try server.statistic("quarantined_total") == 3)
        var harmless = Self.cancel(1, time: time)
        harmless.session = testSession
        #expect(try peer.exchange(harmless).status == .challengeNotOpen, "the same id with another body isn't the poison")
        let created = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self)
        #expect(try peer.exchange(peer.verify(created.challenge, code(in: try server.peer().nextMessage()))).status == .done)

        let watcher = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 100
        try watcher.send(subscribe)
        var quarantined = 0
        while !watcher.isQuiet(), let frame = try watcher.next() {
            guard frame.flags == .push else { continue }
            if try frame.decode(EventPush.self).kind == EventPush.Kind.requestQuarantined.rawValue { quarantined += 1 }
        }
        #expect(quarantined == 1, "said once, by the start that found it")
    }

    /// Flips bits of the challenge's value in a stopped server's database; done again, it is as before.
    private static func damage(_ challenge: Bytes16, in folder: String) throws {
        let file = URL(filePath: folder + "/data/lmdb/data.mdb")
        var bytes = Array(try Data(contentsOf: file))
        // A leaf's node: the key's length, the key, the value. The outbox's keys begin the same and are a
        // byte longer.
        let node: [UInt8] = [16, 0] + be(challenge.high) + be(challenge.low)
        var found = 0
        for start in 0..<bytes.count - 100
        where bytes[start] == 16 && bytes[start..<start + node.count].elementsEqual(node) {
            bytes[start + node.count + 60] ^= 0xFF
            found += 1
        }
        guard found > 0 else { throw TestError("the challenge isn't in the database") }
        try Data(bytes).write(to: file)
    }

    private static func ofVictim(_ challenge: Bytes16, time: UInt64) -> Cancel {
        var message = cancel(2, time: time)
        (message.challenge, message.session) = (challenge, testSession)
        return message
    }

    /// A disk that fails inside a decision is no request's fault: after the repair the same request is
    /// decided.
    @Test func aStorageFailureIsNotCounted() async throws {
        let folder = try TemporaryFolder()
        let time = UInt64(Date().timeIntervalSince1970 * 1_000)
        var challenge = Bytes16.zero
        do {
            let server = try TestServer(in: folder.path)
            let peer = try server.peer()
            challenge = try peer.exchange(peer.requestCode()).decode(ChallengeReply.self).challenge
            try server.stop()
        }
        setenv("OTPD_POISON_FOLDER", folder.path, 1)
        setenv("OTPD_POISON_TIME", "\(time)", 1)
        setenv("OTPD_POISON_CHALLENGE", challenge.description, 1)
        try Self.damage(challenge, in: folder.path)
        for _ in 1...2 {
            await #expect(processExitsWith: .exitCode(70)) {
                guard let folder = getenv("OTPD_POISON_FOLDER"), let text = getenv("OTPD_POISON_TIME"),
                    let id = getenv("OTPD_POISON_CHALLENGE"),
                    let time = UInt64(String(cString: text)),
                    let challenge = Bytes16(hexadecimal: String(cString: id))
                else { exit(7) }
                let server = try TestServer(in: String(cString: folder))
                _ = try server.peer().exchange(PoisonTests.ofVictim(challenge, time: time))
                exit(8)
            }
        }
        try Self.damage(challenge, in: folder.path)
        let server = try TestServer(in: folder.path)
        #expect(try server.statistic("crash_notes") == 0)
        #expect(try server.peer().exchange(Self.ofVictim(challenge, time: time)).status == .done)
    }

    /// A clean stop, and kill -9 between requests, leave no note.
    @Test func whatDidNotCrashIsNotCounted() throws {
        let server = try TestServer()
        let peer = try server.peer()
        _ = try peer.exchange(peer.requestCode())
        try server.restart()
        #expect(try server.statistic("crash_notes") == 0)
    }
}
