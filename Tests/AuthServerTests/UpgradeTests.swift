import Foundation
import Testing
import Wire

@testable import AuthServer
@testable import Engine

/// A data folder of an earlier version, taken from under a running server as a kill -9 leaves it, starts and
/// answers as before. `Tests/Vectors/folders` has the folder, what is in it, and what the server of that time
/// then answered to each question.
@Suite struct UpgradeTests {
    private static let vectors = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appending(path: "Vectors/folders")

    /// The lines of the vector: `key: value`, or `question => reply's body in hex`.
    private struct Vector {
        var challenges: [(name: String, id: Bytes16, code: CodeBytes, session: UInt64)] = []
        var grant = Bytes32.zero
        var passedMs: UInt64 = 0
        var answers: [(question: [String], body: [UInt8])] = []

        init(_ name: String) throws {
            let text = try String(
                contentsOf: UpgradeTests.vectors.appending(path: name + ".txt"), encoding: .utf8)
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                switch words[0] {
                case "challenge:":
                    let session = try #require(UInt64(words[4]))
                    challenges.append(
                        (words[1], try UpgradeTests.bytes16(words[2]), CodeBytes(words[3]), session))
                case "grant:":
                    grant = Bytes32(
                        head: try UpgradeTests.bytes16(String(words[4].prefix(32))),
                        tail: try UpgradeTests.bytes16(String(words[4].suffix(32))))
                case "passed:": passedMs = try #require(UInt64(words[1]))
                default:
                    let hex = Array(try #require(words.last).utf8)
                    let body = stride(from: 0, to: hex.count, by: 2).compactMap {
                        UInt8(String(decoding: hex[$0..<$0 + 2], as: UTF8.self), radix: 16)
                    }
                    answers.append((Array(words.prefix { $0 != "=>" }), body))
                }
            }
        }
    }

    private static func bytes16(_ text: String) throws -> Bytes16 {
        Bytes16(
            high: try #require(UInt64(text.prefix(16), radix: 16)),
            low: try #require(UInt64(text.suffix(16), radix: 16)))
    }

    private static func session(_ number: UInt64) -> Bytes32 {
        Bytes32(head: Bytes16(high: number, low: 5), tail: Bytes16(high: 6, low: 7))
    }

    private static func unpack(_ name: String, into folder: String) throws {
        let tar = Process()
        tar.executableURL = URL(fileURLWithPath: "/bin/tar")
        tar.arguments = ["-C", folder, "-xJf", vectors.appending(path: name + ".tar.xz").path]
        try tar.run()
        tar.waitUntilExit()
        try #require(tar.terminationStatus == 0)
    }

    @Test func aFolderOf3a34ed5() throws {
        let vector = try Vector("3a34ed5")
        let folder = try TemporaryFolder()
        try Self.unpack("3a34ed5", into: folder.path)
        let clock = StillClock()
        clock.pass(vector.passedMs)
        let server = try TestServer(in: folder.path) { settings in
            settings.clockSource = { clock.source }
            settings.segmentBytes = 256 << 10
            settings.overlayBytes = 1 << 20
            settings.overlayRecords = 2_048
        }
        try ask(vector, try server.peer(at: folder.path + "/1.sock"), isFirst: true)
        // Folded into LMDB and started again, what was told stays true.
        try server.restart()
        try ask(vector, try server.peer(at: folder.path + "/1.sock"), isFirst: false)
        #expect(try events(try server.peer(at: folder.path + "/1.sock")) > 60, "its events are there")
    }

    /// All questions in order; `isFirst`: the acts among them are new.
    private func ask(_ vector: Vector, _ peer: RawPeer, isFirst: Bool) throws {
        for (number, answer) in vector.answers.enumerated() {
            let words = answer.question
            let isAct = words[0] == "verify" || words[0] == "redeem"
            guard isFirst || isAct else { continue }
            let reply = try send(words, vector, peer, number: UInt64(number))
            let text =
                "\(words.joined(separator: " ")): \(reply.body.prefix(24).map { String(format: "%02x", $0) }.joined())"
            switch words[0] {
            case "verify" where answer.body.prefix(2) == [0, 0], "redeem":
                // The grant is random; a right code passes, once.
                let expected: Status = isFirst ? .done : .challengeNotOpen
                #expect(
                    reply.status == (words[0] == "redeem" && !isFirst ? .grantInvalid : expected), "\(text)")
            case "quota" where words[1] == "erin":
                // Five wrong payment codes had blocked one class on one phone; that block stands.
                #expect(try reply.refusal() == refusal(answer.body), "\(text)")
            case "quota" where answer.body.prefix(2) != [0, 0]:
                // `limited` by a day: such a wait outlives the request id, which is now said. The limit and
                // the wait are the same.
                let (old, new) = (try #require(refusal(answer.body)), try reply.refusal())
                #expect(
                    new.limit == old.limit && new.retryAfterMs == old.retryAfterMs
                        && new.neutral == old.neutral, "\(text)")
                #expect(old.status == .limited && new.status == .startAnew, "\(text)")
            case "quota" where words[1] == "stranger" && words[5] == "0":
                #expect(Array(reply.body[2..<5]) == Array(answer.body[2..<5]), "\(text)")
            case "quota": #expect(Array(reply.body.prefix(5)) == answer.body, "\(text)")
            default: #expect(reply.body == answer.body, "\(text)")
            }
        }
    }

    private func refusal(_ body: [UInt8]) -> Refusal? {
        body.withUnsafeBytes { try? FieldDecoder.decode(Refusal.self, from: $0) }
    }

    private func send(_ words: [String], _ vector: Vector, _ peer: RawPeer, number: UInt64) throws
        -> RawPeer.Received
    {
        let known = vector.challenges.first { $0.name == words[1] }
        switch words[0] {
        case "status":
            let challenge = try #require(known)
            var m = StatusRequest()
            (m.challenge, m.session) = (challenge.id, Self.session(challenge.session))
            return try peer.exchange(m)
        case "verify":
            let challenge = try #require(known)
            var m = Verify()
            (m.requestID, m.challenge, m.code) = (peer.requestID(), challenge.id, challenge.code)
            m.session = Self.session(challenge.session)
            return try peer.exchange(m)
        case "quota":
            var m = Quota()
            (m.account, m.phone) = (AccountBytes(words[1]), PhoneBytes(words[2]))
            m.session = Self.session(try #require(UInt64(words[3])))
            (m.purpose, m.assurance) = (try #require(UInt16(words[4])), try #require(UInt8(words[5])))
            return try peer.exchange(m)
        default:
            var m = RedeemGrant()
            (m.requestID, m.grant, m.purpose, m.account) = (
                peer.requestID(), vector.grant, 1, AccountBytes("grace")
            )
            m.session = Self.session(7)
            return try peer.exchange(m)
        }
    }

    private func events(_ peer: RawPeer) throws -> Int {
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 1_000
        try peer.send(subscribe)
        var count = 0
        while !peer.isQuiet(), let frame = try peer.next() {
            if frame.flags == .push, frame.opcode == Opcode.event.rawValue { count += 1 }
        }
        return count
    }
}
