/// Appends SMPP's simple types to bytes.
struct PDUWriter {
    private(set) var bytes: [UInt8] = []

    mutating func u8(_ value: UInt8) { bytes.append(value) }

    mutating func u16(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func u32(_ value: UInt32) {
        u16(UInt16(truncatingIfNeeded: value >> 16))
        u16(UInt16(truncatingIfNeeded: value))
    }

    mutating func octets(_ value: [UInt8]) { bytes += value }

    /// A C-octet string of at most `maximum` bytes, the NUL included.
    mutating func string(_ value: [UInt8], _ maximum: Int, _ name: String) throws(PDUError) {
        guard value.count < maximum, !value.contains(0) else { throw .fieldTooLong(name) }
        bytes += value
        bytes.append(0)
    }

    mutating func optional(_ parameters: [OptionalParameter]) throws(PDUError) {
        for parameter in parameters {
            guard let length = UInt16(exactly: parameter.value.count) else {
                throw .fieldTooLong("optional parameter")
            }
            u16(parameter.tag)
            u16(length)
            bytes += parameter.value
        }
    }
}
