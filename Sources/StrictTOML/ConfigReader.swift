import TOMLKit

/// One table of the file, read strictly: a key that nobody asked for is an error.
package final class ConfigReader {
    package let file: ConfigFile
    /// As in the file: `tenant[0].purpose[1]`.
    package let path: String
    private let table: TOMLTable
    private var asked: Set<String> = []

    init(_ table: TOMLTable, path: String, file: ConfigFile) {
        self.table = table
        self.path = path
        self.file = file
    }

    /// A text that is shown and sent on: never empty, cut or steering a terminal.
    package func shown(_ key: String, most: Int) throws(ConfigError) -> String? {
        guard let text = try string(key) else { return nil }
        guard (1...most).contains(text.utf8.count), text.contains(where: { !$0.isWhitespace }) else {
            throw fail(key, "has \(text.utf8.count) bytes; write a text of 1 to \(most) bytes")
        }
        let isPlain = text.unicodeScalars.allSatisfy {
            $0.properties.generalCategory != .control && $0.properties.generalCategory != .format
        }
        guard isPlain else { throw fail(key, "holds a control character; write plain text") }
        return text
    }

    package func has(_ key: String) -> Bool { table.contains(key: key) }

    package func fail(_ key: String, _ text: String) -> ConfigError {
        let name = path.isEmpty ? key : "\(path).\(key)"
        return ConfigError(description: "\(file.name):\(file.line(of: key, in: path)): \(name): \(text)")
    }

    /// Of a key in the table `inner` of this one.
    package func fail(_ key: String, in inner: String, _ text: String) -> ConfigError {
        let place = path.isEmpty ? inner : "\(path).\(inner)"
        return ConfigError(description: "\(file.name):\(file.line(of: key, in: place)): \(place).\(key): \(text)")
    }

    private func value(_ key: String) -> (any TOMLValueConvertible)? {
        asked.insert(key)
        guard table.contains(key: key) else { return nil }
        let found: (any TOMLValueConvertible)? = table[key]
        return found
    }

    package func string(_ key: String) throws(ConfigError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.string else { throw fail(key, "must be a string in quotes") }
        return text
    }

    package func required(_ key: String) throws(ConfigError) -> String {
        guard let text = try string(key) else { throw missing(key, "add `\(key) = \"…\"`") }
        return text
    }

    /// A missing key; or the mistyped one that stands for it.
    package func missing(_ key: String, _ advice: String) -> ConfigError {
        for word in table.keys.sorted() where !asked.contains(word) && ConfigReader.isNear(word, key) {
            return fail(word, "unknown key; did you mean `\(key)`?")
        }
        return fail(key, "is missing; \(advice)")
    }

    package func integer(_ key: String, _ range: ClosedRange<Int>) throws(ConfigError) -> Int? {
        guard let value = value(key) else { return nil }
        guard let number = value.int, range.contains(number) else {
            throw fail(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func requiredInteger(_ key: String, _ range: ClosedRange<Int>) throws(ConfigError) -> Int {
        guard let number = try integer(key, range) else {
            throw missing(key, "add a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func bool(_ key: String) throws(ConfigError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.bool else { throw fail(key, "must be true or false") }
        return flag
    }

    /// One of `names`.
    package func choice(_ key: String, _ names: [String]) throws(ConfigError) -> String? {
        guard let text = try string(key) else { return nil }
        guard names.contains(text) else {
            throw fail(key, "`\(text)` is unknown; \(ConfigReader.suggestion(text, names))")
        }
        return text
    }

    package func integers(_ key: String, _ range: ClosedRange<Int>) throws(ConfigError) -> [Int]? {
        guard let value = value(key) else { return nil }
        guard let array = value.array else { throw fail(key, "must be a list of numbers") }
        var numbers: [Int] = []
        for element in array {
            guard let number = element.int, range.contains(number) else {
                throw fail(key, "each must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            numbers.append(number)
        }
        return numbers
    }

    package func strings(_ key: String) throws(ConfigError) -> [String]? {
        guard let value = value(key) else { return nil }
        guard let array = value.array else { throw fail(key, "must be a list of strings") }
        var texts: [String] = []
        for element in array {
            guard let text = element.string else { throw fail(key, "must be a list of strings") }
            texts.append(text)
        }
        return texts
    }

    /// `[key]`.
    package func subtable(_ key: String) throws(ConfigError) -> ConfigReader? {
        guard let value = value(key) else { return nil }
        guard let inner = value.table else { throw fail(key, "must be a table: write `[\(key)]`") }
        return ConfigReader(inner, path: path.isEmpty ? key : "\(path).\(key)", file: file)
    }

    /// `[key]` with strings under keys of the file's own choice.
    package func stringTable(_ key: String) throws(ConfigError) -> [String: String] {
        guard let inner = try subtable(key) else { return [:] }
        var strings: [String: String] = [:]
        for word in inner.table.keys { strings[word] = try inner.string(word) }
        return strings
    }

    /// `[[key]]`, in order.
    package func tables(_ key: String) throws(ConfigError) -> [ConfigReader] {
        guard let value = value(key) else { return [] }
        guard let array = value.array else { throw fail(key, "must be a list of tables: write `[[\(key)]]`") }
        var readers: [ConfigReader] = []
        for (index, element) in array.enumerated() {
            guard let inner = element.table else { throw fail(key, "must be a list of tables: write `[[\(key)]]`") }
            let name = path.isEmpty ? key : "\(path).\(key)"
            readers.append(ConfigReader(inner, path: "\(name)[\(index)]", file: file))
        }
        return readers
    }

    /// Call last: what wasn't asked for is unknown.
    package func finish() throws(ConfigError) {
        for key in table.keys.sorted() where !asked.contains(key) {
            throw fail(key, "unknown key; \(ConfigReader.suggestion(key, asked.sorted()))")
        }
    }

    /// The nearest name, or all of them.
    package static func suggestion(_ word: String, _ names: [String]) -> String {
        let nearest = names.min { distance(word, $0) < distance(word, $1) }
        if let nearest, isNear(word, nearest) { return "did you mean `\(nearest)`?" }
        return "known are: \(names.joined(separator: ", "))"
    }

    private static func isNear(_ word: String, _ name: String) -> Bool {
        distance(word, name) <= max(2, word.count / 3)
    }

    /// Levenshtein's.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (x, y) = (Array(a), Array(b))
        var row = Array(0...y.count)
        for i in 0..<x.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<y.count {
                let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (x[i] == y[j] ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[y.count]
    }
}
