import Glibc

/// A folder in memory for what only reads files; removed at exit.
final class FuzzFolder: Sendable {
    let path: String

    init() {
        let parent = getenv("FUZZ_FOLDER").map { String(cString: $0) } ?? "/dev/shm"
        var template = Array("\(parent)/otpd-fuzz-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("no folder under \(parent): \(String(cString: strerror(errno)))") }
        path = String(cString: made)
        FuzzFolder.made.append(path)
    }

    nonisolated(unsafe) private static var made: [String] = {
        atexit { for path in FuzzFolder.made { FuzzFolder.removeTree(path) } }
        return []
    }()

    /// A folder and what is in it, if it is there.
    static func removeTree(_ path: String) {
        guard let folder = opendir(path) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            if unlink(path + "/" + name) != 0 { removeTree(path + "/" + name) }
        }
        rmdir(path)
    }

    func makeFolder(_ name: String) { _ = mkdir(path + "/" + name, 0o700) }

    /// Replaces a file's content.
    func write(_ name: String, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { write(name, $0) }
    }

    func write(_ name: String, _ bytes: UnsafeRawBufferPointer) {
        let file = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let count = Glibc.write(file, bytes.baseAddress, bytes.count)
        close(file)
        guard count == bytes.count else { fatalError("\(path)/\(name): \(String(cString: strerror(errno)))") }
    }
}
