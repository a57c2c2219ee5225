/// Writes frames into memory that the caller owns; a frame never exceeds `FrameLimits.maxFrameBytes`.
public struct FieldEncoder: FieldCoder {
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes written.
    public private(set) var count: Int

    /// Writes from the start of `buffer`; a field that doesn't fit throws `truncatedBody`.
    public init(_ buffer: UnsafeMutableRawBufferPointer) {
        self.buffer = buffer
        count = 0
    }

    // MARK: frames

    /// A request's frame. Returns its length.
    public static func request<M: RequestMessage>(
        _ message: M, correlation: UInt32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(WireError) -> Int {
        var encoder = FieldEncoder(buffer)
        try encoder.header(M.opcode.rawValue, [], correlation)
        try encoder.body(message)
        return encoder.patchLength()
    }

    /// The frame of a reply with status *done*. Returns its length.
    public static func reply<M: Message>(
        _ message: M, to opcode: UInt16, correlation: UInt32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(WireError) -> Int {
        var encoder = FieldEncoder(buffer)
        try encoder.header(opcode, .reply, correlation)
        encoder.append(Status.done.rawValue)
        try encoder.body(message)
        return encoder.patchLength()
    }

    /// The frame of a refusal. Returns its length.
    public static func refusal(
        _ refusal: Refusal, to opcode: UInt16, correlation: UInt32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(WireError) -> Int {
        var encoder = FieldEncoder(buffer)
        try encoder.header(opcode, .reply, correlation)
        try encoder.body(refusal)
        return encoder.patchLength()
    }

    /// The frame of a push. Returns its length.
    public static func push<M: PushMessage>(
        _ message: M, into buffer: UnsafeMutableRawBufferPointer
    ) throws(WireError) -> Int {
        var encoder = FieldEncoder(buffer)
        try encoder.header(M.opcode.rawValue, .push, 0)
        try encoder.body(message)
        return encoder.patchLength()
    }

    private mutating func header(_ opcode: UInt16, _ flags: FrameFlags, _ correlation: UInt32) throws(WireError) {
        guard buffer.count >= FrameLimits.headerBytes + 2 else { throw .truncatedBody }
        append(UInt32(0))
        append(opcode)
        append(flags.rawValue)
        append(correlation)
    }

    private mutating func body<M: Message>(_ message: M) throws(WireError) {
        var copy = message
        try copy.fields(&self)
    }

    private func patchLength() -> Int {
        precondition(count <= FrameLimits.maxFrameBytes, "a message's declared maxima exceed a frame")
        buffer.storeBytes(of: UInt32(count - 4).bigEndian, as: UInt32.self)
        return count
    }

    // MARK: fields

    /// The caller has checked the room.
    private mutating func append<T: FixedWidthInteger>(_ value: T) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: count, as: T.self)
        count += T.bitWidth / 8
    }

    private func room(_ bytes: Int) throws(WireError) {
        guard buffer.count - count >= bytes else { throw .truncatedBody }
    }

    @inline(__always)
    private mutating func append<let n: Int>(_ value: InlineBytes<n>) throws(WireError) {
        guard !value.isTooLong else { throw .badBody }
        try room(value.count)
        value.withBytes { bytes in
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: bytes)
        }
        count += value.count
    }

    public mutating func u8(_ name: StaticString, _ value: inout UInt8) throws(WireError) {
        try room(1)
        append(value)
    }
    public mutating func u16(_ name: StaticString, _ value: inout UInt16) throws(WireError) {
        try room(2)
        append(value)
    }
    public mutating func u32(_ name: StaticString, _ value: inout UInt32) throws(WireError) {
        try room(4)
        append(value)
    }
    public mutating func u64(_ name: StaticString, _ value: inout UInt64) throws(WireError) {
        try room(8)
        append(value)
    }
    public mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) throws(WireError) {
        try room(16)
        append(value.high)
        append(value.low)
    }
    public mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) throws(WireError) {
        try bytes16(name, &value.head)
        try bytes16(name, &value.tail)
    }
    @inline(__always)
    public mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        guard value.declaredCount <= 255 else { throw .badBody }
        try room(1)
        append(UInt8(value.declaredCount))
        try append(value)
    }
    @inline(__always)
    public mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>)
        throws(WireError)
    {
        try blob8(name, &value)
    }
    @inline(__always)
    public mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        try room(2)
        append(value.declaredCount)
        try append(value)
    }

    private mutating func tag(_ tag: Tag, bytes: Int) throws(WireError) {
        try room(3 + bytes)
        append(tag.rawValue)
        append(UInt16(bytes))
    }

    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt8?) throws(WireError) {
        guard let value else { return }
        try self.tag(tag, bytes: 1)
        append(value)
    }
    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt64?) throws(WireError) {
        guard let value else { return }
        try self.tag(tag, bytes: 8)
        append(value)
    }
    @inline(__always)
    public mutating func tagged<let n: Int>(
        _ tag: Tag, _ name: StaticString, _ value: inout InlineBytes<n>
    ) throws(WireError) {
        guard !value.isEmpty else { return }
        guard !value.isTooLong else { throw .badBody }
        try self.tag(tag, bytes: value.count)
        try append(value)
    }
}
