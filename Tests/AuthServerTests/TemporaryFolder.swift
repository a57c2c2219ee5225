import Foundation
import Glibc

/// A folder of one test's own; gone with it.
final class TemporaryFolder {
    let path: String
    private let isOwned: Bool

    /// A folder that belongs to somebody else, and stays.
    init(borrowing path: String) {
        self.path = path
        isOwned = false
    }

    init(in parent: String = FileManager.default.temporaryDirectory.path) throws {
        isOwned = true
        var template = Array((parent + "/otpd-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw TestError("mkdtemp: \(String(cString: strerror(errno)))")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        guard isOwned else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            print("left behind: \(path): \(error)")
        }
    }

    /// Writes a file; returns its path.
    func write(_ text: String, to name: String, mode: mode_t = 0o600) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        guard chmod(file, mode) == 0 else { throw TestError("chmod \(file)") }
        return file
    }
}

/// A test's own set-up failed.
struct TestError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Asks until `condition` holds; false when `seconds` have gone.
func eventually(seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try condition() { return true }
        usleep(2_000)
    }
    return try condition()
}
