@testable import Courier
import Foundation
import Synchronization
import Wire

/// A message as the server pushes it.
func sampleMessage(
    _ text: String = "483920 is your Fleur code.", phone: String = "+33612345678", number: UInt64 = 1
) -> MessagePush {
    var message = MessagePush()
    message.challenge = Bytes16(high: 0x0190_0000_0000_0000, low: number)
    message.send = 2
    message.token = Bytes16(high: 0xAAAA, low: number)
    message.attempt = 1
    message.engineTimeMs = 1_000_000
    message.leaseUntilMs = 1_015_000
    message.expiresAtMs = 1_300_000
    message.tenant = 1
    message.purpose = 1
    message.phone = PhoneBytes(phone)
    message.text = InlineBytes(text)
    return message
}

/// The same in a courier's hands, at `nowMs` of its clock.
func submission(_ message: MessagePush, nowMs: UInt64 = 0) -> Submission {
    Submission(
        message: message, expiresAtMs: nowMs + message.expiresAtMs - message.engineTimeMs,
        leaseUntilMs: nowMs + message.leaseUntilMs - message.engineTimeMs, expiresAtWallMs: 0)
}

/// Lines that another thread writes and the test reads.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// A folder of the test's own, removed with it.
final class TemporaryFolder: Sendable {
    struct Failed: Error {}

    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/courier-XXXXXX").utf8CString)
        let isMade = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
        guard isMade else { throw Failed() }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path + "/" + name))
    }

    func read(_ name: String) throws -> String {
        try String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            print("left behind: \(path): \(error)")
        }
    }
}

/// Asks again and again, for `seconds` at most.
func eventually(within seconds: Double = 10, _ isTrue: () throws -> Bool) rethrows -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while Date() < end {
        if try isTrue() { return true }
        usleep(2_000)
    }
    return try isTrue()
}
