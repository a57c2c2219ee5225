import Wire

/// One record's bytes in a fixed place: written field by field, read back in the same order. All integers are big-endian.
///
/// Reading past the end marks the buffer `isDamaged` instead of trapping: the caller asks once, after the last field.
public struct RecordBuffer: Sendable {
    /// LMDB keeps a record in its leaf up to 2,038 bytes with key and envelope; this leaves room for both.
    public static let capacity = 1_900

    /// Eight more, so that any integer is read and written as one word.
    @usableFromInline var bytes = InlineArray<1_908, UInt8>(repeating: 0)
    /// Bytes of the record.
    @usableFromInline var count = 0
    @usableFromInline var offset = 0
    /// A read went past the end, or a length inside is impossible.
    @usableFromInline var isDamaged = false
    /// Every field was there, and nothing after the last.
    var isWhole: Bool { !isDamaged && offset == count }
    /// The store's epoch when the record was written.
    public var epoch: UInt32 = 0
    /// From when on the record reads as absent, engine milliseconds; 0 = never.
    public var expiresAt: UInt64 = 0

    /// Empty.
    public init() {}

    /// Empties the buffer for writing.
    @inlinable public mutating func clear() {
        count = 0
        offset = 0
        isDamaged = false
    }

    /// Lends the place to a store that fills it; `body` returns the record's length, or a negative number for none.
    @inlinable public mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
        clear()
        var span = bytes.mutableSpan
        let length = span.withUnsafeMutableBytes { body(UnsafeMutableRawBufferPointer(rebasing: $0[0..<RecordBuffer.capacity])) }
        count = max(0, length)
        return length >= 0
    }

    /// Lends the record.
    @inlinable public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        let span = bytes.span
        return span.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
    }

    // MARK: writing

    mutating func put(_ value: UInt8) {
        precondition(count < RecordBuffer.capacity, "a record's declared maxima exceed its buffer")
        bytes[count] = value
        count += 1
    }
    /// The low `width` bytes, most significant first, in one store.
    private mutating func put(_ value: UInt64, bytes width: Int) {
        let start = count
        precondition(start + width <= RecordBuffer.capacity, "a record's declared maxima exceed its buffer")
        var span = bytes.mutableSpan
        span.withUnsafeMutableBytes {
            $0.storeBytes(of: (value << UInt64(64 - 8 * width)).bigEndian, toByteOffset: start, as: UInt64.self)
        }
        count = start + width
    }
    mutating func put(_ value: UInt16) { put(UInt64(value), bytes: 2) }
    mutating func put(_ value: UInt32) { put(UInt64(value), bytes: 4) }
    mutating func put(_ value: UInt64) { put(value, bytes: 8) }
    /// Milliseconds in six bytes: enough until the year 10,889.
    mutating func put(ms value: UInt64) { put(value, bytes: 6) }
    mutating func put(_ value: Bytes16) {
        put(value.high)
        put(value.low)
    }
    mutating func put(_ value: Bytes32) {
        put(value.head)
        put(value.tail)
    }
    mutating func put<let n: Int>(_ value: InlineBytes<n>) {
        put(UInt8(value.count))
        let start = count
        precondition(start + value.count <= RecordBuffer.capacity, "a record's declared maxima exceed its buffer")
        var span = bytes.mutableSpan
        span.withUnsafeMutableBytes { storage in
            value.withBytes { UnsafeMutableRawBufferPointer(rebasing: storage[start...]).copyMemory(from: $0) }
        }
        count = start + value.count
    }

    // MARK: reading

    mutating func u8() -> UInt8 {
        guard offset < count else {
            isDamaged = true
            return 0
        }
        defer { offset += 1 }
        return bytes[offset]
    }
    private mutating func integer(bytes width: Int) -> UInt64 {
        let start = offset
        guard start + width <= count else {
            isDamaged = true
            return 0
        }
        offset = start + width
        let span = bytes.span
        return span.withUnsafeBytes {
            UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self)) >> UInt64(64 - 8 * width)
        }
    }
    mutating func u16() -> UInt16 { UInt16(integer(bytes: 2)) }
    mutating func u32() -> UInt32 { UInt32(integer(bytes: 4)) }
    mutating func u64() -> UInt64 { integer(bytes: 8) }
    mutating func ms() -> UInt64 { integer(bytes: 6) }
    mutating func bytes16() -> Bytes16 { Bytes16(high: u64(), low: u64()) }
    mutating func bytes32() -> Bytes32 { Bytes32(head: bytes16(), tail: bytes16()) }
    mutating func blob<let n: Int>() -> InlineBytes<n> {
        let length = Int(u8())
        guard length <= n, offset + length <= count else {
            isDamaged = true
            return InlineBytes()
        }
        let start = offset
        offset += length
        let span = bytes.span
        return span.withUnsafeBytes { InlineBytes(UnsafeRawBufferPointer(rebasing: $0[start..<start + length])) }
    }
    /// A count of at most `limit`.
    mutating func length(atMost limit: Int) -> Int {
        let value = Int(u8())
        if value > limit { isDamaged = true }
        return min(value, limit)
    }
    /// Checks the first byte, the schema of the record.
    mutating func schema(_ expected: UInt8) {
        if u8() != expected { isDamaged = true }
    }
}
