import CLinuxShim
import Glibc
import Wire

/// PostgreSQL's protocol 3.0: each operation is Bind, Execute, Sync of a statement prepared when the connection opens.
struct PGDialect: Dialect {
    let socket: String
    let user: String
    let codesAreKnown = true

    mutating func serverMs() -> UInt64 { linux_realtime_nanos() / 1_000_000 }

    mutating func connect() throws -> Int32 {
        let fd = linux_connect(socket)
        guard fd >= 0 else { throw BenchError("connect \(socket): \(String(cString: strerror(-fd)))") }
        let startup = Array("user\0\(user)\0database\0postgres\0\0".utf8)
        try exchange(fd, bytes(UInt32(8 + startup.count)) + bytes(UInt32(196_608)) + startup)
        try prepare(
            fd, "r", "SELECT status, attempts_left, retry_after_ms FROM otp_request($1::uuid, $2, $3, $4, $5)"
        )
        try prepare(
            fd, "v",
            "SELECT status, attempts_left, retry_after_ms FROM otp_verify($1::uuid, $2::uuid, $3, $4, $5::uuid)"
        )
        try prepare(fd, "s", "SELECT status, attempts_left, retry_after_ms FROM otp_status($1::uuid, $2)")
        return fd
    }

    private func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    private func prepare(_ fd: Int32, _ name: String, _ statement: String) throws {
        let body = Array("\(name)\0\(statement)\0".utf8) + bytes(UInt16(0))
        try exchange(
            fd,
            [UInt8(ascii: "P")] + bytes(UInt32(4 + body.count)) + body + [UInt8(ascii: "S")]
                + bytes(UInt32(4)))
    }

    /// Sends, and reads until ReadyForQuery; an ErrorResponse is thrown.
    private func exchange(_ fd: Int32, _ message: [UInt8]) throws {
        guard write(fd, message, message.count) == message.count else {
            throw BenchError("PostgreSQL takes no message")
        }
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(fd, &chunk, chunk.count)
            guard count > 0 else {
                throw BenchError(
                    "PostgreSQL closed the connection: \(String(decoding: input, as: UTF8.self))")
            }
            input += chunk.prefix(count)
            var at = 0
            while at + 5 <= input.count {
                let whole = 1 + length(input, at + 1)
                guard at + whole <= input.count else { break }
                if input[at] == UInt8(ascii: "E") {
                    throw BenchError(
                        "PostgreSQL: \(String(decoding: input[at + 5..<at + whole].map { $0 == 0 ? 32 : $0 }, as: UTF8.self))"
                    )
                }
                if input[at] == UInt8(ascii: "Z") { return }
                at += whole
            }
        }
    }

    private func length(_ input: [UInt8], _ at: Int) -> Int {
        input[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
    }

    func encode(_ operation: Operation, _ errand: Errand, task: Int32, into pipe: Pipe) {
        switch operation {
        case .request, .refusal, .retry:
            var message = begin(pipe, "r", parameters: 5, values: 32 + 16 + 12 + 32 + 6)
            message.put(value: 32) { $0.put(hex: errand.requestID) }
            message.put(value: 16) { $0.put(shopper: errand.shopper) }
            message.put(value: 12) { $0.put(phone: errand.shopper) }
            message.put(value: 32) { $0.put(hex: errand.requestID) }
            message.put(value: 6) { $0.put(digits: errand.code, 6) }
            message.execute()
        case .verify, .guess:
            var message = begin(pipe, "v", parameters: 5, values: 32 + 32 + 32 + 6 + 32)
            message.put(value: 32) { $0.put(hex: errand.challengeOrRequest) }
            message.put(value: 32) { $0.put(hex: errand.verifyID) }
            message.put(value: 32) { $0.put(hex: errand.requestID) }
            message.put(value: 6) {
                $0.put(digits: operation == .verify ? errand.code : (errand.code + 1) % 1_000_000, 6)
            }
            message.put(value: 32) { $0.put(hex: errand.verifyID) }
            message.execute()
        case .lookup:
            var message = begin(pipe, "s", parameters: 2, values: 32 + 32)
            message.put(value: 32) { $0.put(hex: errand.challengeOrRequest) }
            message.put(value: 32) { $0.put(hex: errand.requestID) }
            message.execute()
        }
    }

    /// Bind of the unnamed portal, values as text, up to the first value.
    private func begin(_ pipe: Pipe, _ name: StaticString, parameters: Int, values: Int) -> ByteWriter {
        let bind = 4 + 1 + 2 + 2 + 2 + 4 * parameters + values + 2
        var message = ByteWriter(pipe.grow(1 + bind + 10 + 5))
        message.put(UInt8(ascii: "B"))
        message.put(UInt32(bind))
        message.put(UInt8(0))
        message.put(name)
        message.put(UInt8(0))
        message.put(UInt16(0))
        message.put(UInt16(parameters))
        return message
    }

    /// All messages up to ReadyForQuery are one answer; the DataRow's first column is the status.
    func parse(_ bytes: UnsafeRawBufferPointer) -> Answer {
        var answer = Answer()
        var at = 0
        var outcome = Outcome.failed
        while at + 5 <= bytes.count {
            let whole = 1 + Int(big(bytes, at + 1, UInt32.self))
            guard at + whole <= bytes.count else { return answer }
            switch bytes[at] {
            case UInt8(ascii: "D"): outcome = .ofPeer(Int(bytes[at + 11]) - 0x30)
            case UInt8(ascii: "E"): outcome = .failed
            case UInt8(ascii: "Z"):
                (answer.bytes, answer.outcome) = (at + whole, outcome)
                return answer
            default: break
            }
            at += whole
        }
        return answer
    }
}

extension ByteWriter {
    fileprivate mutating func put(value length: Int, _ fill: (inout ByteWriter) -> Void) {
        put(UInt32(length))
        fill(&self)
    }

    /// The end of Bind, Execute of the unnamed portal, Sync.
    fileprivate mutating func execute() {
        put(UInt16(0))
        put(UInt8(ascii: "E"))
        put(UInt32(9))
        put(UInt8(0))
        put(UInt32(0))
        put(UInt8(ascii: "S"))
        put(UInt32(4))
    }
}
