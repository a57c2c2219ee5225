/// Up to five times in ascending order, in place: which of a short list leaves a window when.
struct SmallSort {
    private var values = InlineArray<5, UInt64>(repeating: 0)
    private(set) var count = 0

    subscript(index: Int) -> UInt64 { values[max(0, min(index, count - 1))] }

    mutating func insert(_ value: UInt64) {
        precondition(count < 5, "the lists of a record hold at most five")
        var place = count
        while place > 0, values[place - 1] > value {
            values[place] = values[place - 1]
            place -= 1
        }
        values[place] = value
        count += 1
    }
}
