/// Instants in order, over one array.
struct Backlog {
    private var items: [UInt64] = []
    private var head = 0

    var first: UInt64? { head < items.count ? items[head] : nil }
    mutating func append(_ item: UInt64) { items.append(item) }
    mutating func removeFirst() {
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        }
    }
}
