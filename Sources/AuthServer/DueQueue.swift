import Engine

/// Messages by the time at which they are due: a binary heap. Derived; the outbox in the store is the truth.
/// A message that is settled before its time, as most are, stays until then: a look at the outbox tells, and no index is needed.
struct DueQueue {
    private var heap: [MessageKey] = []

    var count: Int { heap.count }
    var first: MessageKey? { heap.first }

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
