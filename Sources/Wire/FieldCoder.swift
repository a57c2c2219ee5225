/// Walks the fields of a message in wire order. Each message states its fields once, in `fields(_:)`; a decoder, an encoder and
/// a lister (with which a test compares the code with `PROTOCOL.md`) walk the same statement.
///
/// The messages of shops and couriers have `@specialized` statements, and the coders' members for `InlineBytes` are always inlined: else the compiler
/// makes one body for all capacities, which asks the runtime for the type's metadata on each call.
public protocol FieldCoder {
    /// One byte.
    mutating func u8(_ name: StaticString, _ value: inout UInt8) throws(WireError)
    /// Big-endian, two bytes.
    mutating func u16(_ name: StaticString, _ value: inout UInt16) throws(WireError)
    /// Big-endian, four bytes.
    mutating func u32(_ name: StaticString, _ value: inout UInt32) throws(WireError)
    /// Big-endian, eight bytes.
    mutating func u64(_ name: StaticString, _ value: inout UInt64) throws(WireError)
    /// Sixteen bytes.
    mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) throws(WireError)
    /// Thirty-two bytes.
    mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) throws(WireError)
    /// A length byte, then that many bytes; a request with more than the field holds is refused as
    /// `unsupportedField`.
    mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError)
    /// A length of two bytes, then that many bytes.
    mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError)
    /// The bytes of a `blob8`, but whoever decides the message judges a value that is too long
    /// (`InlineBytes.isTooLong`): the rules have a status of its own for it. Such a value must not be kept.
    mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError)

    /// An optional field of one byte, `tag` ascending within the message; absent = `nil`.
    mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt8?) throws(WireError)
    /// An optional field of eight bytes.
    mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt64?) throws(WireError)
    /// An optional byte string; absent = empty, so an empty one isn't sent.
    mutating func tagged<let n: Int>(_ tag: Tag, _ name: StaticString, _ value: inout InlineBytes<n>)
        throws(WireError)
}

/// The number of an optional field. The high bit says *critical*: who doesn't know the field must refuse the request.
public struct Tag: Sendable, Equatable {
    /// The byte on the wire.
    public let rawValue: UInt8
    /// A field that may be skipped by who doesn't know it.
    public static func ignorable(_ number: UInt8) -> Tag { Tag(rawValue: number & 0x7F) }
    /// A field that changes what the request means.
    public static func critical(_ number: UInt8) -> Tag { Tag(rawValue: number | 0x80) }
    /// The field's number in its message.
    public var number: UInt8 { rawValue & 0x7F }
    /// Whether the high bit is set.
    public var isCritical: Bool { rawValue & 0x80 != 0 }
    private init(rawValue: UInt8) { self.rawValue = rawValue }
    init(wire: UInt8) { rawValue = wire }
}

/// A body with a fixed layout.
public protocol Message: Sendable {
    /// A message with every field zero or empty, to decode into.
    init()
    /// States the fields in wire order.
    mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError)
}

/// A message that asks for something: the reply carries a `Reply` if it was done.
public protocol RequestMessage: Message {
    /// The body of a reply with status *done*.
    associatedtype Reply: Message
    /// The opcode of the frame, and of its reply.
    static var opcode: Opcode { get }
}

/// A message that the server sends unasked.
public protocol PushMessage: Message {
    /// The opcode of the frame.
    static var opcode: Opcode { get }
}

/// A body without fields.
public struct Empty: Message, Equatable {
    /// No fields.
    public init() {}
    /// No fields.
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {}
}
