import CLinuxShim
import Glibc

/// What the outside sees: the process's memory, the file's size, LMDB's own tool.
enum Probe {
    static func residentPrivateKiB() -> Int {
        for line in text("/proc/self/status").split(separator: "\n") where line.hasPrefix("RssAnon:") {
            return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
        }
        return 0
    }

    /// What this process has handed to write calls so far.
    static func writtenBytes() -> UInt64 {
        for line in text("/proc/self/io").split(separator: "\n") where line.hasPrefix("wchar:") {
            return line.split(separator: " ").compactMap { UInt64($0) }.first ?? 0
        }
        return 0
    }

    static func commit() -> String {
        output(["/usr/bin/env", "git", "rev-parse", "--short", "HEAD"]).split(separator: "\n").first.map(
            String.init) ?? "?"
    }

    static func bytes(_ path: String) -> Int {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : 0
    }

    /// What is left of a database when `mdb_copy -c` has left out all that is free; `nil` = the tool failed.
    static func compactedBytes(of folder: String, into other: String) -> Int? {
        guard mkdir(other, 0o700) == 0 else { return nil }
        defer { remove(other) }
        _ = output(["/usr/bin/env", "mdb_copy", "-c", folder, other])
        let size = bytes(other + "/data.mdb")
        return size > 0 ? size : nil
    }

    static func remove(_ path: String) { _ = output(["/bin/rm", "-rf", path]) }

    private static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        return read(file)
    }

    private static func read(_ file: UnsafeMutablePointer<FILE>) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk.prefix(count) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func output(_ words: [String]) -> String {
        let line = words.map { "'" + $0 + "'" }.joined(separator: " ") + " 2>/dev/null"
        guard let pipe = popen(line, "r") else { return "" }
        defer { pclose(pipe) }
        return read(pipe)
    }
}
