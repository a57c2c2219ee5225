/// Reads fields from a frame's body; every read is checked against its end.
public struct FieldDecoder: FieldCoder {
    private let body: UnsafeRawBufferPointer
    private var offset = 0
    private var lastTag = -1

    /// Borrows `body` for as long as the decoder lives.
    public init(_ body: UnsafeRawBufferPointer) { self.body = body }

    /// Decodes a whole message: fixed fields, tagged fields, nothing after them.
    public static func decode<M: Message>(_ type: M.Type, from body: UnsafeRawBufferPointer) throws(WireError) -> M {
        var message = M()
        var decoder = FieldDecoder(body)
        try message.fields(&decoder)
        try decoder.finish()
        return message
    }

    /// Skips the tagged fields that the message doesn't know; refuses critical ones.
    public mutating func finish() throws(WireError) {
        while let header = try nextTag() { try skip(header) }
    }

    private mutating func take(_ count: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard body.count - offset >= count else { throw .truncatedBody }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: body[offset..<offset + count])
    }

    private mutating func load<T: FixedWidthInteger>(_: T.Type) throws(WireError) -> T {
        T(bigEndian: try take(T.bitWidth / 8).loadUnaligned(as: T.self))
    }

    public mutating func u8(_ name: StaticString, _ value: inout UInt8) throws(WireError) {
        value = try load(UInt8.self)
    }
    public mutating func u16(_ name: StaticString, _ value: inout UInt16) throws(WireError) {
        value = try load(UInt16.self)
    }
    public mutating func u32(_ name: StaticString, _ value: inout UInt32) throws(WireError) {
        value = try load(UInt32.self)
    }
    public mutating func u64(_ name: StaticString, _ value: inout UInt64) throws(WireError) {
        value = try load(UInt64.self)
    }
    public mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) throws(WireError) {
        value = Bytes16(high: try load(UInt64.self), low: try load(UInt64.self))
    }
    public mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) throws(WireError) {
        try bytes16(name, &value.head)
        try bytes16(name, &value.tail)
    }
    @inline(__always)
    public mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        try assign(try take(Int(try load(UInt8.self))), to: &value)
    }
    @inline(__always)
    public mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        try assign(try take(Int(try load(UInt16.self))), to: &value)
    }
    @inline(__always)
    public mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>)
        throws(WireError)
    {
        value.assign(try take(Int(try load(UInt8.self))))
    }
    @inline(__always)
    private func assign<let n: Int>(_ bytes: UnsafeRawBufferPointer, to value: inout InlineBytes<n>)
        throws(WireError)
    {
        guard bytes.count <= n else { throw .unsupportedField(tag: 0) }
        value.assign(bytes)
    }

    // MARK: tagged fields

    private struct TagHeader {
        let tag: Tag
        let count: Int
    }

    /// The next tag's header without consuming it; checks order and that the value is whole.
    private func nextTag() throws(WireError) -> TagHeader? {
        let left = body.count - offset
        guard left > 0 else { return nil }
        guard left >= 3 else { throw .truncatedBody }
        let raw = body[offset]
        let count = Int(body[offset + 1]) << 8 | Int(body[offset + 2])
        guard left - 3 >= count else { throw .truncatedBody }
        guard Int(Tag(wire: raw).number) > lastTag else { throw .badBody }
        return TagHeader(tag: Tag(wire: raw), count: count)
    }

    private mutating func skip(_ header: TagHeader) throws(WireError) {
        if header.tag.isCritical { throw .unsupportedField(tag: header.tag.rawValue) }
        _ = try open(header)
    }

    private mutating func open(_ header: TagHeader) throws(WireError) -> UnsafeRawBufferPointer {
        offset += 3
        lastTag = Int(header.tag.number)
        return try take(header.count)
    }

    /// The value of `tag` if it comes next, after skipping unknown tags below it. Its number is its name: the
    /// critical bit is for those who don't know the field.
    private mutating func value(of tag: Tag) throws(WireError) -> UnsafeRawBufferPointer? {
        while let header = try nextTag() {
            if header.tag.number == tag.number { return try open(header) }
            if header.tag.number > tag.number { return nil }
            try skip(header)
        }
        return nil
    }

    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt8?) throws(WireError) {
        guard let bytes = try self.value(of: tag) else { return value = nil }
        guard bytes.count == 1 else { throw .unsupportedField(tag: tag.rawValue) }
        value = bytes[0]
    }
    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt64?) throws(WireError) {
        guard let bytes = try self.value(of: tag) else { return value = nil }
        guard bytes.count == 8 else { throw .unsupportedField(tag: tag.rawValue) }
        value = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    }
    @inline(__always)
    public mutating func tagged<let n: Int>(
        _ tag: Tag, _ name: StaticString, _ value: inout InlineBytes<n>
    ) throws(WireError) {
        guard let bytes = try self.value(of: tag) else { return value = InlineBytes() }
        guard bytes.count <= n else { throw .unsupportedField(tag: tag.rawValue) }
        value.assign(bytes)
    }
}
