/// Records changed since a checkpoint, deletions included. Open addressing over memory that is allocated once: it never grows and is
/// never copied, so no request pays for another's growth.
final class Overlay {
    struct Entry {
        var keyOffset: UInt32
        var valueLength: UInt16
        var valueCapacity: UInt16
        var table: UInt8
        var keyLength: UInt8
        var isDeleted: Bool
        var epoch: UInt32
        var expiresAt: UInt64
        var sequence: UInt64
    }

    let capacity: Int
    let arena: UnsafeMutableRawBufferPointer
    /// A key's hash above its entry's number plus one; 0 = free. With the hash in the slot, a look that misses stays out of the entries.
    private let slots: UnsafeMutableBufferPointer<UInt64>
    private let entries: UnsafeMutableBufferPointer<Entry>
    /// Entries of the table whose new keys always rise, in that order: pages of it are found without a look at the rest.
    private let risingTable: UInt8?
    private let rising: UnsafeMutableBufferPointer<UInt32>
    private(set) var risingCount = 0
    private(set) var count = 0
    private(set) var used = 0
    /// The newest commit in it.
    private(set) var lastSequence: UInt64 = 0

    /// - Parameter rising: the table whose new keys always rise, if there is one.
    init(records: Int, bytes: Int, rising table: UInt8? = nil) {
        capacity = records
        risingTable = table
        rising = .allocate(capacity: table == nil ? 0 : records)
        var slotCount = 1
        while slotCount < records * 2 { slotCount *= 2 }
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: 0)
        entries = .allocate(capacity: records)
        arena = .allocate(byteCount: bytes, alignment: 8)
    }

    deinit {
        slots.deallocate()
        entries.deallocate()
        rising.deallocate()
        arena.deallocate()
    }

    /// Room for any one request's writes.
    func hasRoom(records: Int, bytes: Int) -> Bool { count + records <= capacity && used + bytes <= arena.count }

    func reset() {
        slots.update(repeating: 0)
        count = 0
        used = 0
        risingCount = 0
        lastSequence = 0
    }

    private static func hash(_ table: UInt8, _ key: UnsafeRawBufferPointer) -> UInt32 {
        // Keys are HMACs or hold random bytes: a multiply is enough against accidents, and an attacker can't choose them.
        var hash = UInt64(table) &+ 0x9E37_79B9_7F4A_7C15
        var offset = 0
        while key.count - offset >= 8 {
            hash = (hash ^ key.u64(offset)) &* 0xFF51_AFD7_ED55_8CCD
            hash ^= hash >> 32
            offset += 8
        }
        while offset < key.count {
            hash = (hash ^ UInt64(key[offset])) &* 0xFF51_AFD7_ED55_8CCD
            hash ^= hash >> 32
            offset += 1
        }
        return UInt32(truncatingIfNeeded: hash)
    }

    func entry(_ index: Int) -> Entry { entries[index] }

    func key(_ entry: Entry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(arena).slice(Int(entry.keyOffset), Int(entry.keyLength))
    }

    func value(_ entry: Entry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(arena).slice(Int(entry.keyOffset) + Int(entry.keyLength), Int(entry.valueLength))
    }

    /// The entry of a key; -1 = none.
    func find(_ table: UInt8, _ key: UnsafeRawBufferPointer) -> Int {
        entry(in: probe(table, key, Overlay.hash(table, key)))
    }

    private func entry(in slot: Int) -> Int { Int(UInt32(truncatingIfNeeded: slots[slot])) - 1 }

    private func probe(_ table: UInt8, _ key: UnsafeRawBufferPointer, _ hash: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot] != 0 {
            if UInt32(truncatingIfNeeded: slots[slot] >> 32) == hash {
                let index = entry(in: slot)
                if entries[index].table == table, isEqual(self.key(entries[index]), key) { return slot }
            }
            slot = (slot + 1) & mask
        }
        return slot
    }

    /// Puts (`value` not nil) or deletes. The caller has checked the room.
    func set(
        _ table: UInt8, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?, expiresAt: UInt64, epoch: UInt32,
        sequence: UInt64
    ) {
        let hash = Overlay.hash(table, key)
        let slot = probe(table, key, hash)
        let length = value?.count ?? 0
        lastSequence = max(lastSequence, sequence)
        var index = entry(in: slot)
        if index < 0 {
            precondition(count < capacity, "the overlay is full: the caller must check for room first")
            index = count
            count += 1
            slots[slot] = UInt64(hash) << 32 | UInt64(index + 1)
            entries[index] = Entry(
                keyOffset: place(key, length), valueLength: 0, valueCapacity: UInt16(length), table: table,
                keyLength: UInt8(key.count), isDeleted: false, epoch: epoch, expiresAt: 0, sequence: 0)
            if table == risingTable { appendRising(index) }
        } else if length > Int(entries[index].valueCapacity) {
            entries[index].keyOffset = place(key, length)
            entries[index].valueCapacity = UInt16(length)
        }
        if let value { arena.copy(Int(entries[index].keyOffset) + key.count, value) }
        entries[index].valueLength = UInt16(length)
        entries[index].isDeleted = value == nil
        entries[index].epoch = epoch
        entries[index].expiresAt = expiresAt
        entries[index].sequence = sequence
    }

    private func appendRising(_ index: Int) {
        if risingCount > 0 {
            precondition(isLess(risingKey(risingCount - 1), key(entries[index])), "the keys of a rising table rise")
        }
        rising[risingCount] = UInt32(index)
        risingCount += 1
    }

    private func risingKey(_ place: Int) -> UnsafeRawBufferPointer { key(entries[Int(rising[place])]) }

    func risingEntry(_ place: Int) -> Entry { entries[Int(rising[place])] }

    /// The place of the first rising entry whose key isn't below `key`.
    func firstRising(from key: UnsafeRawBufferPointer) -> Int {
        var (low, high) = (0, risingCount)
        while low < high {
            let middle = (low + high) / 2
            if isLess(risingKey(middle), key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func place(_ key: UnsafeRawBufferPointer, _ valueBytes: Int) -> UInt32 {
        precondition(used + key.count + valueBytes <= arena.count, "the overlay's arena is full: check for room first")
        let offset = used
        arena.copy(offset, key)
        used += key.count + valueBytes
        return UInt32(offset)
    }

    /// Entry indices in the order of LMDB: by table, then key.
    func sortedIndices() -> [Int32] {
        // Almost every comparison ends in the first bytes: they are laid beside the index, and the keys stay untouched.
        var order = [(head: UInt64, index: Int32)](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                let entry = entries[index]
                let head = UInt64(entry.table) << 56 | key(entry).u64(0) >> 8
                buffer.initializeElement(at: index, to: (head, Int32(index)))
            }
            initialized = count
        }
        order.sort { a, b in
            a.head != b.head ? a.head < b.head : isLess(key(entries[Int(a.index)]), key(entries[Int(b.index)]))
        }
        return order.map(\.index)
    }
}
