import Engine

/// Messages that wait, a lane for each priority, and in it by the time at which they are due. Derived; the outbox in the store is the truth.
/// A message that is settled before its time, as most are, stays until then: a look at the outbox tells, and no index is needed.
struct DueQueue {
    private var high = Lane()
    private var normal = Lane()
    private var low = Lane()

    var count: Int { high.count + normal.count + low.count }

    /// The next that is due: of those with a higher priority, as long as there is one.
    func first(now: UInt64) -> MessageKey? { high.first(now: now) ?? normal.first(now: now) ?? low.first(now: now) }

    mutating func push(_ key: MessageKey) {
        switch key.priority {
        case .high: high.push(key)
        case .normal: normal.push(key)
        case .low: low.push(key)
        }
    }

    /// Takes out what `first` has told.
    mutating func pop(_ key: MessageKey) {
        switch key.priority {
        case .high: high.pop()
        case .normal: normal.pop()
        case .low: low.pop()
        }
    }
}

/// A binary heap.
private struct Lane {
    private var heap: [MessageKey] = []

    /// With room for some seconds of messages; a backlog makes more.
    init() { heap.reserveCapacity(4_096) }

    var count: Int { heap.count }

    func first(now: UInt64) -> MessageKey? {
        guard let first = heap.first, first.notBefore <= now else { return nil }
        return first
    }

    mutating func push(_ key: MessageKey) {
        heap.append(key)
        rise(heap.count - 1)
    }

    mutating func pop() {
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
    }

    private mutating func rise(_ place: Int) {
        var child = place
        while child > 0 {
            let parent = (child - 1) / 2
            if heap[parent].notBefore <= heap[child].notBefore { break }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in (2 * parent + 1)..<(2 * parent + 3)
            where child < heap.count && heap[child].notBefore < heap[least].notBefore {
                least = child
            }
            if least == parent { break }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
