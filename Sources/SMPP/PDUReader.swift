/// Takes SMPP's simple types from one PDU's bytes, never beyond their end.
struct PDUReader {
    struct Malformed: Error {}

    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool { position == bytes.endIndex }

    mutating func u8() throws(Malformed) -> UInt8 {
        guard position < bytes.endIndex else { throw Malformed() }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func u16() throws(Malformed) -> UInt16 {
        let high = try u8()
        return UInt16(high) << 8 | UInt16(try u8())
    }

    mutating func u32() throws(Malformed) -> UInt32 {
        let high = try u16()
        return UInt32(high) << 16 | UInt32(try u16())
    }

    mutating func octets(_ count: Int) throws(Malformed) -> [UInt8] {
        guard count <= bytes.endIndex - position else { throw Malformed() }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// A C-octet string of at most `maximum` bytes, the NUL included; without it.
    mutating func string(_ maximum: Int) throws(Malformed) -> [UInt8] {
        let window = bytes[position...].prefix(maximum)
        guard let end = window.firstIndex(of: 0) else { throw Malformed() }
        defer { position = end + 1 }
        return Array(bytes[position..<end])
    }

    /// All that is left.
    mutating func optional() throws(Malformed) -> [OptionalParameter] {
        var parameters: [OptionalParameter] = []
        while !isAtEnd {
            let tag = try u16()
            let length = Int(try u16())
            parameters.append(OptionalParameter(tag: tag, value: try octets(length)))
        }
        return parameters
    }
}
