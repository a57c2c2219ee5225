import Glibc
import Wire

/// What the clients know, on disk: every request before it is sent, every frame that came, each start of the server and turn of the
/// clock. Opened with O_DSYNC: a line is durable when `sync` returns, so the harness itself may be killed at any time.
///
/// Lines: `S connection hex` sent, `R connection hex` received, `B` the server is started, `T milliseconds` its clock jumps.
final class OracleLog {
    private let fd: Int32
    private let path: String
    private var pending: [UInt8] = []

    init(_ path: String) throws {
        self.path = path
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw CrashError("\(path): \(reason())") }
    }

    deinit { close(fd) }

    func sent(_ connection: Int, _ frame: UnsafeRawBufferPointer) { note("S \(connection) ", frame) }
    func received(_ connection: Int, _ frame: UnsafeRawBufferPointer) { note("R \(connection) ", frame) }

    func started() throws {
        pending += Array("B\n".utf8)
        try sync()
    }

    func turned(_ milliseconds: Int64) throws {
        pending += Array("T \(milliseconds)\n".utf8)
        try sync()
    }

    private func note(_ head: String, _ frame: UnsafeRawBufferPointer) {
        pending += Array(head.utf8)
        let digits = Array("0123456789abcdef".utf8)
        for byte in frame {
            pending.append(digits[Int(byte >> 4)])
            pending.append(digits[Int(byte & 15)])
        }
        pending.append(0x0A)
    }

    /// One write of all that was noted; durable when it returns.
    func sync() throws {
        guard !pending.isEmpty else { return }
        var done = 0
        while done < pending.count {
            let count = pending.withUnsafeBytes { write(fd, $0.baseAddress.map { $0 + done }, pending.count - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CrashError("\(path): \(reason())") }
            done += count
        }
        pending.removeAll(keepingCapacity: true)
    }
}

/// A frame out of the log.
struct LoggedFrame {
    var opcode: UInt16
    var flags: FrameFlags
    var correlation: UInt32
    var body: [UInt8]

    init(_ frame: Frame) {
        opcode = frame.opcode
        flags = frame.flags
        correlation = frame.correlation
        body = Array(frame.body)
    }

    /// The status of a reply.
    var status: Status? { body.count >= 2 ? Status(rawValue: UInt16(body[0]) << 8 | UInt16(body[1])) : nil }

    func decode<M: Message>(_ type: M.Type) throws -> M {
        try body.withUnsafeBytes { raw in
            let isReply = flags == .reply && raw[0] == 0 && raw[1] == 0
            return try FieldDecoder.decode(M.self, from: UnsafeRawBufferPointer(rebasing: raw[(isReply ? 2 : 0)...]))
        }
    }
}

/// A line of the log.
enum LogEntry {
    case sent(connection: Int, LoggedFrame)
    case received(connection: Int, LoggedFrame)
    case started
    case turned(Int64)

    /// All whole lines; a torn last one was never relied on.
    static func read(_ path: String) throws -> [LogEntry] {
        guard let file = fopen(path, "r") else { throw CrashError("\(path): \(reason())") }
        defer { fclose(file) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            text += chunk.prefix(count)
        }
        var entries: [LogEntry] = []
        var start = 0
        while let end = text[start...].firstIndex(of: 0x0A) {
            entries.append(try parse(text[start..<end]))
            start = end + 1
        }
        return entries
    }

    private static func parse(_ line: ArraySlice<UInt8>) throws -> LogEntry {
        let words = line.split(separator: 0x20)
        guard let kind = words.first?.first else { throw CrashError("an empty line in the log") }
        if kind == UInt8(ascii: "B") { return .started }
        let number = words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) : nil
        guard let number else { throw CrashError("not a line of the log: \(String(decoding: line, as: UTF8.self))") }
        if kind == UInt8(ascii: "T") { return .turned(Int64(number)) }
        guard words.count == 3 else { throw CrashError("a line of the log without its frame") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words[2].count / 2)
        var high: UInt8?
        for digit in words[2] {
            let value = digit < 0x3A ? digit - 0x30 : digit - 0x61 + 10
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        let frame = try bytes.withUnsafeBytes { try Frame.next(in: $0).map { LoggedFrame($0) } }
        guard let frame else { throw CrashError("half a frame in the log") }
        return kind == UInt8(ascii: "S") ? .sent(connection: number, frame) : .received(connection: number, frame)
    }
}
