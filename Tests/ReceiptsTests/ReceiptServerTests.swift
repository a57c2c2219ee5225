import Foundation
import Glibc
@testable import Receipts
import Synchronization
import Testing
import Wire

/// HTTP over sockets, from peers that mean well and others.
@Suite struct ReceiptServerTests {
    /// A server of its own, on a Unix socket.
    static func with(_ fake: ReceiptDeskTests.FakeServer = .init(), _ body: (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "otp-receipts-\(UUID().uuidString.prefix(8)).sock"
        let server = try await ReceiptServer.start(.unix(path: path), fake.desk(ReceiptDeskTests.entries))
        do { try await body(path) } catch {
            await server.stop()
            throw error
        }
        await server.stop()
        unlink(path)
    }

    static func connect(_ path: String) -> Int32 {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let done = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(done == 0)
        // A `timeval` by its layout: which module owns the type depends on what else the package builds.
        var time = (seconds: 5, micros: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout.size(ofValue: time)))
        return fd
    }

    /// What comes until the end, or until `count` answers.
    static func read(_ fd: Int32, answers count: Int = .max) -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let got = recv(fd, &buffer, buffer.count, 0)
            guard got > 0 else { break }
            all += buffer.prefix(got)
            if String(decoding: all, as: UTF8.self).components(separatedBy: "HTTP/1.1 ").count > count { break }
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Blocks a thread of its own: the server needs those of the tests.
    static func ask(_ path: String, _ text: String, answers: Int = .max) async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let fd = connect(path)
                _ = text.withCString { send(fd, $0, text.utf8.count, Int32(MSG_NOSIGNAL)) }
                let answer = read(fd, answers: answers)
                close(fd)
                continuation.resume(returning: answer)
            }
        }
    }

    static func get(_ target: String, close: Bool = true) -> String { "GET \(target) HTTP/1.1\r\nHost: x\r\n\(close ? "Connection: close\r\n" : "")\r\n" }

    @Test func answers() async throws {
        let fake = ReceiptDeskTests.FakeServer()
        try await ReceiptServerTests.with(fake) { path in
            let answer = await ReceiptServerTests.ask(path, ReceiptServerTests.get("/k?" + ReceiptDeskTests.good))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.hasSuffix("\r\n\r\ndone\n"), "\(answer)")
            #expect(fake.heard.withLock { $0.map { $0.reference.text } } == ["abc"])
            #expect(await ReceiptServerTests.ask(path, ReceiptServerTests.get("/k?reference=abc&state=1")).hasPrefix("HTTP/1.1 403 "))
            #expect(await ReceiptServerTests.ask(path, ReceiptServerTests.get("/")).hasPrefix("HTTP/1.1 404 "))
            let body = #"{"results":[{"messageId":"b","status":{"groupId":3,"id":5}}]}"#
            let post = "POST /i?token=0123456789abcdef HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            #expect(await ReceiptServerTests.ask(path, post).hasPrefix("HTTP/1.1 200 "))
            #expect(fake.heard.withLock { $0.map { $0.reference.text } } == ["abc", "b"])
        }
    }

    /// One connection, many requests, sent at once.
    @Test func pipelined() async throws {
        let fake = ReceiptDeskTests.FakeServer()
        try await ReceiptServerTests.with(fake) { path in
            let requests = (0..<20).map { ReceiptServerTests.get("/k?token=0123456789abcdef&reference=r\($0)&state=1", close: false) }.joined()
            let answer = await ReceiptServerTests.ask(path, requests, answers: 20)
            #expect(answer.components(separatedBy: "HTTP/1.1 200 OK").count == 21, "\(answer)")
            #expect(fake.heard.withLock { $0.map { $0.reference.text } } == (0..<20).map { "r\($0)" })
        }
    }

    @Test func tooLong() async throws {
        let fake = ReceiptDeskTests.FakeServer()
        try await ReceiptServerTests.with(fake) { path in
            let body = String(repeating: "a", count: ReceiptServer.maxBody + 1)
            let post = "POST /i?token=0123456789abcdef HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            #expect(await ReceiptServerTests.ask(path, post).hasPrefix("HTTP/1.1 413 "))
            // Headers without an end: closed, whatever is said.
            let answer = await ReceiptServerTests.ask(path, "GET /k HTTP/1.1\r\n" + String(repeating: "X-A: " + String(repeating: "b", count: 1_000) + "\r\n", count: 400))
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(await ReceiptServerTests.ask(path, ReceiptServerTests.get("/k?" + ReceiptDeskTests.good)).hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test(arguments: ["\u{0}\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST /k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
    func garbage(_ text: String) async throws {
        let fake = ReceiptDeskTests.FakeServer()
        try await ReceiptServerTests.with(fake) { path in
            let answer = await ReceiptServerTests.ask(path, text)
            #expect(!answer.hasPrefix("HTTP/1.1 2"), "\(answer)")
            #expect(await ReceiptServerTests.ask(path, ReceiptServerTests.get("/k?" + ReceiptDeskTests.good)).hasPrefix("HTTP/1.1 200 "))
        }
        #expect(fake.heard.withLock { $0.count } == 1)
    }

    /// Half requests in every place, and more that come: whoever asks is answered at once, and the oldest of them have gone.
    @Test func halfRequestsKeepNobodyOut() async throws {
        try await ReceiptServerTests.with { path in
            let half = "POST /k HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
            var held: [Int32] = []
            for _ in 0..<ReceiptServer.maxConnections + 40 {
                let fd = ReceiptServerTests.connect(path)
                _ = half.withCString { send(fd, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
                held.append(fd)
            }
            let begin = ContinuousClock.now
            for _ in 0..<10 {
                let answer = await ReceiptServerTests.ask(path, ReceiptServerTests.get("/k?" + ReceiptDeskTests.good))
                #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
            }
            #expect(ContinuousClock.now - begin < .seconds(3))
            var byte: UInt8 = 0
            #expect(recv(held[0], &byte, 1, 0) == 0, "the oldest has its place still")
            #expect(recv(held[held.count - 1], &byte, 1, Int32(MSG_DONTWAIT)) == -1, "the newest has gone")
            for fd in held { close(fd) }
        }
    }

    /// A client that goes before its answer.
    @Test func goneBeforeTheAnswer() async throws {
        let fake = ReceiptDeskTests.FakeServer([ReceiptDeskTests.refusal(.referenceUnknown)])
        try await ReceiptServerTests.with(fake) { path in
            for _ in 0..<20 {
                let fd = ReceiptServerTests.connect(path)
                let text = ReceiptServerTests.get("/k?" + ReceiptDeskTests.good)
                _ = text.withCString { send(fd, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
                close(fd)
            }
            #expect(await ReceiptServerTests.ask(path, ReceiptServerTests.get("/nowhere")).hasPrefix("HTTP/1.1 404 "))
        }
    }
}
