import Store
import Testing
import Wire

@testable import AuthServer

/// A malformed frame: the last frame says why, the connection ends, nobody else notices.
@Suite struct BadFrameTests {
    struct Spoilt: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let reason: Goodbye.Reason
        let bytes: [UInt8]

        init(_ name: String, _ reason: Goodbye.Reason, _ bytes: [UInt8]) {
            (testDescription, self.reason, self.bytes) = (name, reason, bytes)
        }
    }

    static let spoilt: [Spoilt] = [
        Spoilt("length 0", .badFrameLength, be(UInt32(0))),
        Spoilt("length 7", .badFrameLength, be(UInt32(7))),
        Spoilt("length 4093", .badFrameLength, be(UInt32(4_093))),
        Spoilt("length 4 GiB", .badFrameLength, be(UInt32.max)),
        Spoilt("HTTP", .badFrameLength, Array("GET / HTTP/1.1\r\n\r\n".utf8)),
        Spoilt("reply flag", .badFlags, with(RawFrame(.ping, body: be(UInt64(1)))) { $0.flags = 1 }),
        Spoilt("push flag", .badFlags, with(RawFrame(.ping, body: be(UInt64(1)))) { $0.flags = 2 }),
        Spoilt("both flags", .badFlags, with(RawFrame(.ping, body: be(UInt64(1)))) { $0.flags = 3 }),
        Spoilt("reserved flag", .badFlags, with(RawFrame(.ping, body: be(UInt64(1)))) { $0.flags = 0x8000 }),
        Spoilt("empty body", .badBody, RawFrame(.ping).bytes),
        Spoilt("short body", .badBody, RawFrame(.ping, body: [1, 2, 3, 4, 5, 6, 7]).bytes),
        Spoilt("long body", .badBody, RawFrame(.ping, body: be(UInt64(1)) + [0]).bytes),
        Spoilt("tag over the end", .badBody, RawFrame(.ping, body: be(UInt64(1)) + [5, 0, 9, 1]).bytes),
        Spoilt(
            "tags out of order", .badBody,
            RawFrame(.ping, body: be(UInt64(1)) + tag(6, [1]) + tag(5, [1])).bytes),
        Spoilt("tag twice", .badBody, RawFrame(.ping, body: be(UInt64(1)) + tag(6, [1]) + tag(6, [1])).bytes),
        Spoilt(
            "blob over the end", .badBody,
            RawFrame(.requestCode, body: [UInt8](repeating: 0, count: 19) + [200, 1, 2, 3]).bytes),
        Spoilt("Hello twice", .helloTwice, RawFrame(.hello, body: [UInt8](repeating: 0, count: 14)).bytes),
    ]

    private static func with(_ frame: RawFrame, _ change: (inout RawFrame) -> Void) -> [UInt8] {
        var frame = frame
        change(&frame)
        return frame.bytes
    }

    @Test func eachEndsItsOwnConnectionAlone() throws {
        let server = try TestServer()
        let other = try server.peer()
        for (index, spoilt) in Self.spoilt.enumerated() {
            let peer = try server.peer()
            peer.send(spoilt.bytes)
            let end = try peer.goodbye()
            #expect(end.reason == spoilt.reason, "\(spoilt.testDescription): \(end.text)")
            #expect(end.replies.isEmpty && !end.text.isEmpty)
            var ping = Ping()
            ping.token = UInt64(index)
            #expect(try other.exchange(ping).decode(Ping.Reply.self).token == UInt64(index))
        }
        let helloTwice = 1
        #expect(try server.statistic("frame_errors_total") == UInt64(Self.spoilt.count - helloTwice))
        #expect(try eventually { try server.statistic("connections") == 2 }, "`other` and the one that asks")
    }

    @Test func whatCameBeforeIsAnsweredAndDone() throws {
        for mode in [false, true] {
            let server = try TestServer { $0.commit = mode ? .overlapped : .inline }
            let peer = try server.peer()
            let request = peer.requestCode()
            let bytes = try peer.frame(Ping()) + peer.frame(request) + RawFrame(.ping).bytes
            peer.send(bytes + (try peer.frame(peer.requestCode(account: "bob"))))
            let end = try peer.goodbye()
            #expect(end.reason == .badBody)
            #expect(end.replies.map(\.status) == [.done, .done], "overlapped: \(mode)")
            let challenge = try #require(end.replies.last).decode(ChallengeReply.self).challenge
            let next = try server.peer()
            #expect(try next.status(challenge).status == .done)
            // What came after the bad frame was never looked at.
            #expect(try server.statistic("challenges_created_total") == 1)
        }
    }

    @Test func aFrameMayComeInAnyPieces() throws {
        let server = try TestServer()
        let peer = try server.peer()
        let bytes = try peer.frame(Ping())
        for byte in bytes.dropLast() { #expect(peer.send([byte]) == 1) }
        #expect(peer.isQuiet(), "half a frame isn't answered")
        peer.send([try #require(bytes.last)])
        #expect(try peer.next()?.status == .done)
        for split in 1..<bytes.count {
            peer.send(Array(bytes[..<split]))
            peer.send(Array(bytes[split...]))
            #expect(try peer.next()?.status == .done)
        }
    }

    @Test func halfAFrameAtTheEndIsNothing() throws {
        let server = try TestServer()
        let other = try server.peer()
        for count in [1, 3, 4, 11, 12, 40] {
            let peer = try server.peer()
            peer.send(Array(try peer.frame(peer.requestCode()).prefix(count)))
            peer.close()
        }
        #expect(try other.exchange(Ping()).status == .done)
        #expect(try eventually { try server.statistic("connections") == 2 })
        #expect(try server.statistic("challenges_created_total") == 0)
    }
}
