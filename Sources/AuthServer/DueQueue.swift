import Engine

/// Messages by the time at which they are due: a binary heap. Derived; the outbox in the store is the truth.
///
/// A message that is settled before its time, as most are, stays in the heap until then. It is only counted: that the heap doesn't know which
/// ones they are costs a look at the outbox when their time comes, and saves an index.
struct DueQueue {
    private var heap: [MessageKey] = []
    private var settled = 0

    /// Messages that may still be sent, and perhaps some that won't: it errs to the safe side.
    var count: Int { heap.count - settled }
    /// All, settled ones too: what memory is spent on.
    var held: Int { heap.count }

    var first: MessageKey? { heap.first }

    mutating func push(_ key: MessageKey) {
        heap.append(key)
        rise(heap.count - 1)
    }

    /// One of them won't be sent (again): it was taken, or its challenge is over.
    mutating func settle() { settled = min(settled + 1, heap.count) }

    /// The one that was popped last proved to be settled.
    mutating func wasSettled() { settled = heap.isEmpty ? 0 : max(0, settled - 1) }

    mutating func pop() {
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        settled = min(settled, heap.count)
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
