import Engine
import Wire

/// What occurred, by name: a fault that never came proves nothing.
struct Occurrences {
    private(set) var counts: [String: Int] = [:]

    mutating func add(_ name: String, _ count: Int = 1) { counts[name, default: 0] += count }

    mutating func add(_ other: Occurrences) {
        for (name, count) in other.counts { counts[name, default: 0] += count }
    }

    subscript(name: String) -> Int { counts[name] ?? 0 }

    /// Names with a prefix, in order.
    func lines(_ prefix: String) -> [(String, Int)] {
        counts.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
            .map { (String($0.key.dropFirst(prefix.count)), $0.value) }
    }
}
