/// How a provider writes its message ids. Some give one in hexadecimal in the response and the same in decimal in the receipt.
package enum MessageIDForm: String, Sendable, CaseIterable {
    /// Compared as it stands.
    case text
    case decimal
    case hexadecimal

    /// What two writings of one id have in common. An id that isn't a number is taken as text.
    package func key(_ id: [UInt8]) -> [UInt8] {
        switch self {
        case .text: return id
        case .decimal: return number(id, radix: 10) ?? id
        case .hexadecimal: return number(id, radix: 16) ?? id
        }
    }

    private func number(_ id: [UInt8], radix: Int) -> [UInt8]? {
        // `UInt64("+2")` parses: an id with a sign is text.
        guard let first = id.first, first != 0x2B, first != 0x2D,
            let number = UInt64(String(decoding: id, as: UTF8.self), radix: radix)
        else { return nil }
        return Array("#\(number)".utf8)
    }
}
