import Engine
import Glibc
import Wire

/// Messages that wait, a lane for each priority, and in it by the time at which they are due. Each is here
/// once: whoever makes it due at another time moves it, and it goes when it is settled, wherever it stands.
/// Derived; the outbox in the store is the truth.
struct DueQueue: ~Copyable {
    /// Lists of entries whose keys have the same hash: 2 MiB of addresses, of which memory is taken where
    /// there are messages.
    private static let listCount = 1 << 19
    private static let none = UInt32.max

    private struct Entry {
        var key: MessageKey
        /// In its lane's heap.
        var place: Int
        /// The next of its list, or the next that is free.
        var next: UInt32
    }

    private var entries: [Entry] = []
    private var firstFree = none
    /// One more than the first entry's index; 0 = the list is empty.
    private let lists: UnsafeMutablePointer<UInt32>
    private var high = Lane()
    private var normal = Lane()
    private var low = Lane()
    private var ofTenant: [UInt32: Int] = [:]

    /// With room for some seconds of messages; a backlog makes more.
    init() {
        guard let zeroed = calloc(DueQueue.listCount, MemoryLayout<UInt32>.stride) else {
            preconditionFailure("no memory for the queue of messages")
        }
        lists = zeroed.bindMemory(to: UInt32.self, capacity: DueQueue.listCount)
        entries.reserveCapacity(4_096)
    }

    deinit { free(lists) }

    var count: Int { high.count + normal.count + low.count }

    func count(of tenant: UInt32) -> Int { ofTenant[tenant] ?? 0 }

    /// The next that is due: of those with a higher priority, as long as there is one.
    func first(now: UInt64) -> MessageKey? {
        guard let index = high.first(now: now) ?? normal.first(now: now) ?? low.first(now: now) else {
            return nil
        }
        return entries[index].key
    }

    /// From now on it is due at `key.notBefore`.
    mutating func put(_ key: MessageKey) {
        remove(key)
        add(key)
    }

    /// As `put`, but one that is here stays as it is.
    mutating func putIfAbsent(_ key: MessageKey) {
        if find(key) == nil { add(key) }
    }

    /// Nobody waits for it any more; without effect for one that isn't here.
    mutating func remove(_ key: MessageKey) {
        guard let (index, before) = find(key) else { return }
        let entry = entries[index]
        switch entry.key.priority {
        case .high: high.remove(entry.place) { entries[$0].place = $1 }
        case .normal: normal.remove(entry.place) { entries[$0].place = $1 }
        case .low: low.remove(entry.place) { entries[$0].place = $1 }
        }
        if let before { entries[before].next = entry.next } else { lists[list(key)] = entry.next &+ 1 }
        entries[index].next = firstFree
        firstFree = UInt32(index)
        ofTenant[entry.key.tenant, default: 1] -= 1
    }

    private mutating func add(_ key: MessageKey) {
        let list = list(key)
        let entry = Entry(key: key, place: 0, next: lists[list] &- 1)
        let index: Int
        if firstFree == DueQueue.none {
            index = entries.count
            entries.append(entry)
        } else {
            index = Int(firstFree)
            firstFree = entries[index].next
            entries[index] = entry
        }
        lists[list] = UInt32(index) + 1
        ofTenant[key.tenant, default: 0] += 1
        switch key.priority {
        case .high: high.push(index, key.notBefore) { entries[$0].place = $1 }
        case .normal: normal.push(index, key.notBefore) { entries[$0].place = $1 }
        case .low: low.push(index, key.notBefore) { entries[$0].place = $1 }
        }
    }

    /// The index of the message's entry, and of the one before it in its list.
    private func find(_ key: MessageKey) -> (Int, before: Int?)? {
        var before: Int?
        var index = lists[list(key)] &- 1
        while index != DueQueue.none {
            let entry = entries[Int(index)]
            if entry.key.challenge == key.challenge, entry.key.send == key.send {
                return (Int(index), before)
            }
            before = Int(index)
            index = entry.next
        }
        return nil
    }

    /// A challenge's id ends in bytes of an HMAC: nobody chooses who shares a list.
    private func list(_ key: MessageKey) -> Int {
        Int(truncatingIfNeeded: key.challenge.low &+ UInt64(key.send)) & (DueQueue.listCount - 1)
    }
}

/// A binary heap of entries; `moved` hears where each of them comes to stand.
private struct Lane {
    private struct Node {
        var notBefore: UInt64
        var entry: UInt32
    }

    private var heap: [Node] = []

    init() { heap.reserveCapacity(4_096) }

    var count: Int { heap.count }

    func first(now: UInt64) -> Int? {
        guard let first = heap.first, first.notBefore <= now else { return nil }
        return Int(first.entry)
    }

    mutating func push(_ entry: Int, _ notBefore: UInt64, _ moved: (Int, Int) -> Void) {
        heap.append(Node(notBefore: notBefore, entry: UInt32(entry)))
        settle(heap.count - 1, moved)
    }

    mutating func remove(_ place: Int, _ moved: (Int, Int) -> Void) {
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        settle(place, moved)
    }

    /// The node at `place` goes to where it belongs.
    private mutating func settle(_ place: Int, _ moved: (Int, Int) -> Void) {
        let node = heap[place]
        var hole = place
        while hole > 0, heap[(hole - 1) / 2].notBefore > node.notBefore {
            hole = fill(hole, from: (hole - 1) / 2, moved)
        }
        while true {
            var least = 2 * hole + 1
            if least + 1 < heap.count, heap[least + 1].notBefore < heap[least].notBefore { least += 1 }
            guard least < heap.count, heap[least].notBefore < node.notBefore else { break }
            hole = fill(hole, from: least, moved)
        }
        heap[hole] = node
        moved(Int(node.entry), hole)
    }

    private mutating func fill(_ hole: Int, from place: Int, _ moved: (Int, Int) -> Void) -> Int {
        heap[hole] = heap[place]
        moved(Int(heap[hole].entry), hole)
        return place
    }
}
