import Glibc
import TOMLKit

/// The file's text, to find the line of a key: the parser keeps none.
package struct ConfigFile: Sendable {
    package let name: String
    let lines: [Substring]

    /// Reads a file of at most 1 MiB, and checks that it is TOML; the root table.
    package static func read(_ path: String) throws(ConfigError) -> ConfigReader {
        guard let file = fopen(path, "r") else {
            throw ConfigError(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else {
            throw ConfigError(description: "\(path): \(String(cString: strerror(errno)))")
        }
        guard count < bytes.count else { throw ConfigError(description: "\(path): larger than 1 MiB") }
        guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw ConfigError(description: "\(path): is not UTF-8 text")
        }
        return try parse(text, name: path)
    }

    /// The same from text.
    package static func parse(_ text: String, name: String) throws(ConfigError) -> ConfigReader {
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        let file = ConfigFile(name: name, lines: lines)
        try file.refuseWhatEndsTheParser()
        let table: TOMLTable
        do { table = try TOMLTable(string: text) } catch let error as TOMLParseError {
            throw ConfigError(description: "\(name):\(error.source.begin.line): \(error.description)")
        } catch { throw ConfigError(description: "\(name): \(error)") }
        return ConfigReader(table, path: "", file: file)
    }

    /// `otpd.toml:7: peer[0].uid: `
    package func place(of key: String, in path: String) -> String {
        "\(name):\(line(of: key, in: path)): \(path.isEmpty ? key : "\(path).\(key)"): "
    }

    /// The line (from 1) where `key` stands in the table `path`; the table's own line when the key isn't there.
    func line(of key: String, in path: String) -> Int {
        var current = ""
        var counts: [String: Int] = [:]
        var tableLine = 1
        for (index, raw) in lines.enumerated() {
            let line = raw.drop { $0 == " " || $0 == "\t" }
            if line.hasPrefix("[") {
                current = resolve(line, &counts)
                if current == path { tableLine = index + 1 }
                if current == (path.isEmpty ? key : "\(path).\(key)")
                    || current == (path.isEmpty ? key : "\(path).\(key)") + "[0]"
                {
                    return index + 1
                }
            } else if current == path {
                let word = line.prefix { $0 != "=" && $0 != " " && $0 != "\t" }
                if word == key || word == "\"\(key)\"" { return index + 1 }
            }
        }
        return tableLine
    }

    /// `[[tenant.purpose]]` → `tenant[0].purpose[1]`.
    private func resolve(_ header: Substring, _ counts: inout [String: Int]) -> String {
        let isList = header.hasPrefix("[[")
        let inner = header.drop { $0 == "[" }.prefix { $0 != "]" }
        let parts = inner.split(separator: ".").map { $0.filter { $0 != " " } }
        var path = ""
        for (index, part) in parts.enumerated() {
            path += (path.isEmpty ? "" : ".") + part
            if isList, index == parts.count - 1 {
                let count = counts[path, default: -1] + 1
                counts[path] = count
                path += "[\(count)]"
            } else if let count = counts[path] {
                path += "[\(count)]"
            }
        }
        return path
    }
}
