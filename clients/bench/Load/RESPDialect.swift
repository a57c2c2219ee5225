import CLinuxShim
import Glibc
import Wire

/// Redis's protocol: each operation is one EVALSHA of a loaded script with the rules (`peers/*.lua`).
struct RESPDialect: Dialect {
    let socket: String
    let codesAreKnown = true
    private let scripts: [String]
    /// Digests of the scripts for request, verify, status.
    private var digests: [[UInt8]] = []

    /// `scripts`: sources of request, verify, status.
    init(socket: String, scripts: [String]) {
        self.socket = socket
        self.scripts = scripts
    }

    mutating func serverMs() -> UInt64 { linux_realtime_nanos() / 1_000_000 }

    mutating func connect() throws -> Int32 {
        let fd = linux_connect(socket)
        guard fd >= 0 else { throw BenchError("connect \(socket): \(String(cString: strerror(-fd)))") }
        if digests.isEmpty {
            for script in scripts {
                let reply = try ask(
                    fd, "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$\(script.utf8.count)\r\n\(script)\r\n")
                guard reply.hasPrefix("$40\r\n") else { throw BenchError("Redis refuses a script: \(reply)") }
                digests.append(Array(reply.utf8.dropFirst(5).prefix(40)))
            }
        }
        return fd
    }

    /// One command and one short reply, blocking.
    private func ask(_ fd: Int32, _ command: String) throws -> String {
        let bytes = Array(command.utf8)
        guard write(fd, bytes, bytes.count) == bytes.count else { throw BenchError("Redis takes no command") }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(fd, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    func encode(_ operation: Operation, _ errand: Errand, task: Int32, into pipe: Pipe) {
        var command = RESPWriter(pipe: pipe)
        switch operation {
        case .request, .refusal, .retry:
            command.begin(digests[0], keys: 5, arguments: 5)
            command.item("challenge:") { $0.put(hex: errand.requestID) }
            command.item("slot:") { w in
                w.put(shopper: errand.shopper)
                w.put(":")
                w.put(hex: errand.requestID)
            }
            command.item("phone:") { $0.put(phone: errand.shopper) }
            command.item("account:") { $0.put(shopper: errand.shopper) }
            command.item("streak:") { w in
                w.put(shopper: errand.shopper)
                w.put(":")
                w.put(phone: errand.shopper)
            }
            command.item("") { $0.put(hex: errand.requestID) }
            command.item("") { $0.put(shopper: errand.shopper) }
            command.item("") { $0.put(phone: errand.shopper) }
            command.item("") { $0.put(hex: errand.requestID) }
            command.item("") { $0.put(digits: errand.code, 6) }
        case .verify, .guess:
            command.begin(digests[1], keys: 1, arguments: 5)
            command.item("challenge:") { $0.put(hex: errand.challengeOrRequest) }
            command.item("") { $0.put(hex: errand.challengeOrRequest) }
            command.item("") { $0.put(hex: errand.verifyID) }
            command.item("") { $0.put(hex: errand.requestID) }
            command.item("") {
                $0.put(digits: operation == .verify ? errand.code : (errand.code + 1) % 1_000_000, 6)
            }
            command.item("") { $0.put(hex: errand.verifyID) }
        case .lookup:
            command.begin(digests[2], keys: 1, arguments: 1)
            command.item("challenge:") { $0.put(hex: errand.challengeOrRequest) }
            command.item("") { $0.put(hex: errand.requestID) }
        }
        command.end()
    }

    /// `*3` of three integers, or an error.
    func parse(_ bytes: UnsafeRawBufferPointer) -> Answer {
        var answer = Answer()
        guard let first = line(bytes, 0) else { return answer }
        guard bytes[0] == UInt8(ascii: "*") else {
            (answer.bytes, answer.outcome) = (first, .failed)
            return answer
        }
        var at = first
        var numbers = (0, 0, 0)
        for index in 0..<3 {
            guard let end = line(bytes, at) else { return answer }
            let value = integer(bytes, at + 1)
            if index == 0 { numbers.0 = value }
            at = end
        }
        answer.bytes = at
        answer.outcome = .ofPeer(numbers.0)
        return answer
    }

    /// Where the line from `start` ends, CR LF included.
    private func line(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10 { return index + 2 }
            index += 1
        }
        return nil
    }

    private func integer(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var (index, value) = (start, 0)
        while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            value = value * 10 + Int(bytes[index] - 0x30)
            index += 1
        }
        return value
    }
}

extension Outcome {
    /// The statuses of `peers/`.
    static func ofPeer(_ status: Int) -> Outcome {
        switch status {
        case 0: .done
        case 1: .wrongCode
        case 2: .limited
        case 3: .notOpen
        default: .failed
        }
    }
}

extension Errand {
    /// The peers name a challenge by its request id.
    var challengeOrRequest: Bytes16 { requestID }
    /// The request id of this attempt's Verify.
    var verifyID: Bytes16 {
        Bytes16(high: requestID.high, low: requestID.low ^ (attempt + 1) &* 0x9E37_79B9_7F4A_7C15)
    }
}

extension ByteWriter {
    mutating func put(shopper: UInt64) {
        put("account-")
        put(digits: shopper, 8)
    }
    mutating func put(phone: UInt64) {
        put("+336")
        put(digits: phone, 8)
    }
}

/// One command: room for the longest is taken from the pipe, what wasn't needed is given back.
private struct RESPWriter {
    private static let room = 1_024
    private let pipe: Pipe
    private let start: UnsafeMutableRawPointer
    private var count = 0

    init(pipe: Pipe) {
        self.pipe = pipe
        start = pipe.grow(RESPWriter.room)
    }

    mutating func begin(_ digest: [UInt8], keys: Int, arguments: Int) {
        append("*\(3 + keys + arguments)\r\n$7\r\nEVALSHA\r\n$40\r\n")
        digest.withUnsafeBytes { append($0) }
        append("\r\n$1\r\n\(keys)\r\n")
    }

    /// A bulk string: a prefix and what `fill` writes.
    mutating func item(_ prefix: StaticString, _ fill: (inout ByteWriter) -> Void) {
        // Most lengths have two digits, so the text goes behind a place for `$NN\r\n`; Redis takes no zero in front.
        let body = start + count + 5
        var writer = ByteWriter(body)
        writer.put(prefix)
        fill(&writer)
        let length = writer.offset(from: body)
        let digits = length < 10 ? 1 : 2
        if digits == 1 { memmove(body - 1, body, length) }
        var head = ByteWriter(start + count)
        head.put("$")
        head.put(digits: UInt64(length), digits)
        head.put("\r\n")
        count += 3 + digits + length
        append("\r\n")
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if let source = bytes.baseAddress { memcpy(start + count, source, bytes.count) }
        count += bytes.count
    }

    private mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    func end() {
        precondition(count <= RESPWriter.room, "a command is longer than its room")
        pipe.shrink(RESPWriter.room - count)
    }
}
