import Glibc

/// Bytes in the order in which they came, in memory of its own: kept for the next ones while it is small, given back when they have gone.
/// A connection that is idle holds next to nothing. What has been taken out is overwritten, because messages carry codes.
struct ByteQueue: ~Copyable {
    private static let smallest = 512
    /// An empty queue keeps no more.
    private static let kept = 4 << 10

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    private var end = 0

    init() {}

    deinit { ByteQueue.free(memory) }

    var count: Int { end - start }
    var isEmpty: Bool { end == start }

    /// Valid until the queue changes.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[start..<end]) }

    mutating func append(_ added: UnsafeRawBufferPointer) {
        guard !added.isEmpty else { return }
        if memory.count - end < added.count { makeRoom(added.count) }
        UnsafeMutableRawBufferPointer(rebasing: memory[end...]).copyMemory(from: added)
        end += added.count
    }

    mutating func removeFirst(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "no more than there is")
        ByteQueue.wipe(memory, start, count)
        start += count
        guard start == end else { return }
        (start, end) = (0, 0)
        if memory.count > ByteQueue.kept {
            ByteQueue.free(memory)
            memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
    }

    private mutating func makeRoom(_ wanted: Int) {
        let count = self.count
        // The front is free: half of the memory or more, so that each byte is moved once at most for each that came.
        if start >= count, memory.count - count >= wanted {
            memory.baseAddress?.copyMemory(from: memory.baseAddress.unsafelyUnwrapped + start, byteCount: count)
            ByteQueue.wipe(memory, start, count)
        } else {
            var capacity = max(ByteQueue.smallest, memory.count)
            while capacity < count + wanted { capacity *= 2 }
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
            larger.copyMemory(from: bytes)
            ByteQueue.free(memory)
            memory = larger
        }
        (start, end) = (0, count)
    }

    private static func free(_ memory: UnsafeMutableRawBufferPointer) {
        wipe(memory, 0, memory.count)
        memory.deallocate()
    }

    private static func wipe(_ memory: UnsafeMutableRawBufferPointer, _ start: Int, _ count: Int) {
        guard let base = memory.baseAddress else { return }
        explicit_bzero(base + start, count)
    }
}
