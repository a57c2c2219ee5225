import Foundation
import Synchronization

/// An HTTP server that does what it is told to, on a port of the machine's loopback: one act a request, then the last one for ever.
final class FakeVendor: Sendable {
    enum Act: Sendable {
        case answer(Int, String = "", headers: [String] = [])
        /// Reads the request and says nothing.
        case silence
        /// A byte at a time, for ever.
        case drip
        /// The head, then half of the body that it names, then a reset.
        case cut
        /// Reads the request, then resets the connection.
        case reset
        /// Headers or a body without end.
        case endlessHeaders
        case endlessBody
        case garbage
        /// Answers, and closes the connection without saying so.
        case answerAndClose(Int, String)
        /// Closes a connection that has been used before as soon as it has read a request on it; on a new one it answers.
        case closeIfUsed(Int, String)
    }

    struct Failed: Error {}

    private let listener: Int32
    let port: UInt16
    private let acts: Mutex<[Act]>
    private let seen = Mutex<[String]>([])
    private let count = Mutex(0)

    /// Whole requests, as they came.
    var requests: [String] { seen.withLock { $0 } }
    var connections: Int { count.withLock { $0 } }
    var base: String { "http://127.0.0.1:\(port)" }

    init(_ acts: Act...) throws {
        self.acts = Mutex(acts)
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        listener = fd
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard bind(fd, pointer, size) == 0, listen(fd, 64) == 0 else { return Int32(-1) }
                return getsockname(fd, pointer, &size)
            }
        }
        guard code == 0 else { throw Failed() }
        port = UInt16(bigEndian: address.sin_port)
        // It ends when the listener is closed.
        let box = Box(self)
        Thread { FakeVendor.accept(fd, box) }.start()
    }

    private struct Box: @unchecked Sendable {  // the threads end before the object: deinit closes their sockets, `serve` is short
        weak var vendor: FakeVendor?
        init(_ vendor: FakeVendor) { self.vendor = vendor }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private static func accept(_ listener: Int32, _ box: Box) {
        while true {
            let fd = Glibc.accept(listener, nil, nil)
            guard fd >= 0 else { return }
            guard let vendor = box.vendor else {
                close(fd)
                return
            }
            vendor.count.withLock { $0 += 1 }
            Thread {
                FakeVendor.serve(fd, box)
                close(fd)
            }.start()
        }
    }

    private static func serve(_ fd: Int32, _ box: Box) {
        signal(SIGPIPE, SIG_IGN)
        var served = 0
        var rest: [UInt8] = []
        while let request = read(fd, &rest), let vendor = box.vendor {
            vendor.seen.withLock { $0.append(request) }
            let act = vendor.acts.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
            guard perform(act, fd, served) else { return }
            served += 1
        }
    }

    /// One request, its body by Content-Length.
    private static func read(_ fd: Int32, _ rest: inout [UInt8]) -> String? {
        while true {
            let text = String(decoding: rest, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let head = text[..<end.lowerBound].lowercased()
                let length = head.range(of: "content-length: ").flatMap { Int(head[$0.upperBound...].prefix { $0.isNumber }) } ?? 0
                let whole = text[..<end.upperBound].utf8.count + length
                if rest.count >= whole {
                    defer { rest.removeFirst(whole) }
                    return String(decoding: rest[..<whole], as: UTF8.self)
                }
            }
            var buffer = [UInt8](repeating: 0, count: 4_096)
            let count = Glibc.read(fd, &buffer, buffer.count)
            guard count > 0 else { return nil }
            rest += buffer[..<count]
        }
    }

    private static func write(_ fd: Int32, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    private static func reset(_ fd: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    }

    private static func answer(_ status: Int, _ body: String, _ headers: [String] = []) -> String {
        (["HTTP/1.1 \(status) It", "Content-Length: \(body.utf8.count)"] + headers).joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    /// Whether the connection goes on.
    private static func perform(_ act: Act, _ fd: Int32, _ served: Int) -> Bool {
        switch act {
        case .answer(let status, let body, let headers): return write(fd, answer(status, body, headers))
        case .silence:
            var byte: UInt8 = 0
            _ = Glibc.read(fd, &byte, 1)
        case .drip: while write(fd, "H") { usleep(20_000) }
        case .cut:
            _ = write(fd, "HTTP/1.1 201 It\r\nContent-Length: 100\r\n\r\n{\"sid\": \"SM1\"")
            reset(fd)
        case .reset: reset(fd)
        case .endlessHeaders:
            _ = write(fd, "HTTP/1.1 201 It\r\n")
            while write(fd, "X-More: " + String(repeating: "a", count: 1_000) + "\r\n") {}
        case .endlessBody:
            _ = write(fd, "HTTP/1.1 201 It\r\n\r\n")
            while write(fd, String(repeating: "a", count: 10_000)) {}
        case .garbage: _ = write(fd, "\u{1}\u{2}not http at all\n\n")
        case .answerAndClose(let status, let body): _ = write(fd, answer(status, body))
        case .closeIfUsed(let status, let body):
            if served == 0 { return write(fd, answer(status, body)) }
        }
        return false
    }
}
