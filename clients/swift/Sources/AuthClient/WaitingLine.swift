/// First in, first out, and any may leave early. Bounded: it holds at most twice as many numbers as entries,
/// plus a page.
struct WaitingLine<Entry> {
    private static var page: Int { 64 }
    private var entries: [UInt32: Entry] = [:]
    /// In order of arrival; those without an entry have left.
    private var order: [UInt32] = []
    private var head = 0

    var count: Int { entries.count }
    var numbers: [UInt32] { order[head...].filter { entries[$0] != nil } }

    mutating func append(_ number: UInt32, _ entry: Entry) {
        if order.count >= 2 * entries.count + WaitingLine.page {
            order = numbers
            head = 0
        }
        entries[number] = entry
        order.append(number)
    }

    /// Whether it stood in the line.
    mutating func remove(_ number: UInt32) -> Bool { entries.removeValue(forKey: number) != nil }

    mutating func popFirst() -> (UInt32, Entry)? {
        while head < order.count {
            let number = order[head]
            head += 1
            if let entry = entries.removeValue(forKey: number) { return (number, entry) }
        }
        return nil
    }

    mutating func removeAll() {
        entries.removeAll()
        order.removeAll()
        head = 0
    }
}
