import Wire

/// One record's bytes in a fixed place: written field by field, read back in the same order. All integers are big-endian.
///
/// Its owner makes it once and lends it: it can't be copied, because two kilobytes would be. What it holds is behind a pointer, so lending
/// it needs no `inout` either.
///
/// Reading past the end marks the buffer `isDamaged` instead of trapping: the caller asks once, after the last field.
public struct RecordBuffer: ~Copyable {
    /// LMDB keeps a record in its leaf up to 2,038 bytes with key and envelope; this leaves room for both.
    public static let capacity = 1_900

    @usableFromInline struct Content {
        /// Of the record, in bytes.
        @usableFromInline var count = 0
        @usableFromInline var offset = 0
        /// A read went past the end, or a length inside is impossible.
        @usableFromInline var isDamaged = false
        var epoch: UInt32 = 0
        var expiresAt: UInt64 = 0
    }

    /// More than the capacity, so that any integer is read and written as one word; then what is known of the record.
    private static let placeBytes = capacity + 12
    @usableFromInline let bytes: UnsafeMutableRawPointer
    @usableFromInline let content: UnsafeMutablePointer<Content>

    /// Empty.
    public init() {
        bytes = .allocate(byteCount: RecordBuffer.placeBytes + MemoryLayout<Content>.size, alignment: 8)
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: RecordBuffer.placeBytes)
        content = (bytes + RecordBuffer.placeBytes).initializeMemory(as: Content.self, to: Content())
    }

    deinit { bytes.deallocate() }

    /// Of the record, in bytes.
    var count: Int { content.pointee.count }
    var isDamaged: Bool { content.pointee.isDamaged }
    /// Every field was there, and nothing after the last.
    var isWhole: Bool { !content.pointee.isDamaged && content.pointee.offset == content.pointee.count }
    /// The store's epoch when the record was written.
    public var epoch: UInt32 {
        get { content.pointee.epoch }
        nonmutating set { content.pointee.epoch = newValue }
    }
    /// From when on the record reads as absent, engine milliseconds; 0 = never.
    public var expiresAt: UInt64 {
        get { content.pointee.expiresAt }
        nonmutating set { content.pointee.expiresAt = newValue }
    }

    /// Empties the buffer for writing.
    @inlinable public func clear() {
        content.pointee.count = 0
        content.pointee.offset = 0
        content.pointee.isDamaged = false
    }

    /// Lends the place to a store that fills it; `body` returns the record's length, or a negative number for none.
    @inlinable public func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        clear()
        let length = body(UnsafeMutableRawBufferPointer(start: bytes, count: RecordBuffer.capacity))
        content.pointee.count = max(0, length)
        return length >= 0
    }

    /// Lends the record.
    @inlinable public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: bytes, count: content.pointee.count))
    }

    // MARK: writing

    /// Where the next `width` bytes go.
    private func place(_ width: Int) -> UnsafeMutableRawPointer {
        let start = content.pointee.count
        precondition(start + width <= RecordBuffer.capacity, "a record's declared maxima exceed its buffer")
        content.pointee.count = start + width
        return bytes + start
    }

    func put(_ value: UInt8) { place(1).storeBytes(of: value, as: UInt8.self) }
    /// The low `width` bytes, most significant first, in one store.
    private func put(_ value: UInt64, bytes width: Int) {
        place(width).storeBytes(of: (value << UInt64(64 - 8 * width)).bigEndian, as: UInt64.self)
    }
    func put(_ value: UInt16) { put(UInt64(value), bytes: 2) }
    func put(_ value: UInt32) { put(UInt64(value), bytes: 4) }
    func put(_ value: UInt64) { put(value, bytes: 8) }
    /// Milliseconds in six bytes: enough until the year 10,889.
    func put(ms value: UInt64) { put(value, bytes: 6) }
    func put(_ value: Bytes16) {
        put(value.high)
        put(value.low)
    }
    func put(_ value: Bytes32) {
        put(value.head)
        put(value.tail)
    }
    func put<let n: Int>(_ value: borrowing InlineBytes<n>) {
        put(UInt8(value.count))
        let place = place(value.count)
        value.withBytes { UnsafeMutableRawBufferPointer(start: place, count: $0.count).copyMemory(from: $0) }
    }

    // MARK: reading

    /// The next `width` bytes; `nil` when they aren't there.
    private func next(_ width: Int) -> UnsafeRawPointer? {
        let start = content.pointee.offset
        guard start + width <= content.pointee.count else {
            content.pointee.isDamaged = true
            return nil
        }
        content.pointee.offset = start + width
        return UnsafeRawPointer(bytes) + start
    }

    func u8() -> UInt8 { next(1)?.load(as: UInt8.self) ?? 0 }
    private func integer(bytes width: Int) -> UInt64 {
        guard let place = next(width) else { return 0 }
        return UInt64(bigEndian: place.loadUnaligned(as: UInt64.self)) >> UInt64(64 - 8 * width)
    }
    func u16() -> UInt16 { UInt16(integer(bytes: 2)) }
    func u32() -> UInt32 { UInt32(integer(bytes: 4)) }
    func u64() -> UInt64 { integer(bytes: 8) }
    func ms() -> UInt64 { integer(bytes: 6) }
    func bytes16() -> Bytes16 { Bytes16(high: u64(), low: u64()) }
    func bytes32() -> Bytes32 { Bytes32(head: bytes16(), tail: bytes16()) }
    func blob<let n: Int>() -> InlineBytes<n> {
        let length = Int(u8())
        guard length <= n, let place = next(length) else {
            content.pointee.isDamaged = true
            return InlineBytes()
        }
        return InlineBytes(UnsafeRawBufferPointer(start: place, count: length))
    }
    /// A count of at most `limit`.
    func length(atMost limit: Int) -> Int {
        let value = Int(u8())
        if value > limit { content.pointee.isDamaged = true }
        return min(value, limit)
    }
    /// What was read can't be.
    func damage() { content.pointee.isDamaged = true }
    /// The first byte, the schema of a record that has had `newest` of them.
    func schema(upTo newest: UInt8) -> UInt8 {
        let found = u8()
        if found == 0 || found > newest { content.pointee.isDamaged = true }
        return found
    }
    /// Checks the first byte, the schema of the record.
    func schema(_ expected: UInt8) {
        if u8() != expected { content.pointee.isDamaged = true }
    }
}
