/// A byte string of bounded length, stored in place: a message that holds it is a plain value, safe to keep after the
/// connection's buffer has moved on, and takes no heap allocation.
///
/// A longer string on the wire isn't a broken frame but a request that is refused: by the decoder, or, in a
/// `judged8`, by the rules. For those the length that was declared is kept, `isTooLong` says so, and no
/// content is; a value that was decoded any other way always fits.
///
/// Its members are `@inlinable`: the rules copy and compare such fields all day, and a generic type that another module can't see into is
/// copied by the runtime, byte by byte.
public struct InlineBytes<let capacity: Int>: Sendable {
    @usableFromInline var length: UInt16
    @usableFromInline var storage: InlineArray<capacity, UInt8>

    /// Empty.
    @inlinable public init() {
        length = 0
        storage = InlineArray(repeating: 0)
    }

    /// A copy of `bytes`; content is kept only if it fits.
    @inlinable public init(_ bytes: some Collection<UInt8>) {
        self.init()
        length = UInt16(clamping: bytes.count)
        guard bytes.count <= capacity else { return }
        var index = 0
        for byte in bytes {
            storage[index] = byte
            index += 1
        }
    }

    /// A copy of `bytes`; content is kept only if it fits.
    @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
        self.init()
        assign(bytes)
    }

    /// The text's UTF-8.
    @inlinable public init(_ text: String) { self.init(text.utf8) }

    /// The length on the wire, in bytes; may exceed `capacity`.
    @inlinable public var declaredCount: UInt16 { length }
    /// Bytes held: 0 when the wire's string was too long.
    @inlinable public var count: Int { isTooLong ? 0 : Int(declaredCount) }
    /// More bytes were sent than this field may have.
    @inlinable public var isTooLong: Bool { Int(declaredCount) > capacity }
    /// No byte was sent.
    @inlinable public var isEmpty: Bool { declaredCount == 0 }

    /// Byte `index` of those held.
    @inlinable public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "index beyond the bytes held")
        return storage[index]
    }

    /// Lends the bytes held.
    @inlinable public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let held = count
        let span = storage.span
        return try span.withUnsafeBytes { (all) throws(E) -> R in
            try body(UnsafeRawBufferPointer(rebasing: all[0..<held]))
        }
    }

    /// Replaces the content by `bytes`.
    @inlinable mutating func assign(_ bytes: UnsafeRawBufferPointer) {
        length = UInt16(clamping: bytes.count)
        guard bytes.count <= capacity else { return }
        var span = storage.mutableSpan
        span.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
    }

    /// The bytes held, as an array: for clients and tests, not for the data plane.
    public var array: [UInt8] { withBytes { Array($0) } }
    /// The bytes as UTF-8 text, repaired where they aren't.
    public var text: String { String(decoding: array, as: UTF8.self) }
}

extension InlineBytes: Equatable {
    /// Same length, same bytes.
    @inlinable public static func == (a: InlineBytes, b: InlineBytes) -> Bool {
        guard a.declaredCount == b.declaredCount else { return false }
        for index in 0..<a.count where a.storage[index] != b.storage[index] { return false }
        return true
    }
}

extension InlineBytes: CustomStringConvertible {
    /// The length only: accounts, phones and codes are strings of this type, and none belongs in a log.
    public var description: String { "<\(declaredCount) bytes>" }
}

/// What an account field may hold: 1–128 opaque bytes.
public typealias AccountBytes = InlineBytes<128>
/// What a phone field may hold: `+` and up to 15 digits.
public typealias PhoneBytes = InlineBytes<16>
/// What a code field may hold: up to 16 ASCII characters.
public typealias CodeBytes = InlineBytes<16>
