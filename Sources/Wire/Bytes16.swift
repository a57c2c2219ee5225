/// Sixteen opaque bytes: a request id, a challenge id, a lease token, a subject id. Ordered as bytes are.
public struct Bytes16: Sendable, Hashable, Comparable {
    /// The first eight bytes, big-endian.
    public var high: UInt64
    /// The last eight bytes, big-endian.
    public var low: UInt64

    /// All zero: "none" wherever the protocol allows it.
    public static let zero = Bytes16(high: 0, low: 0)

    /// Two big-endian words.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A time-first id: 6 bytes of engine time in milliseconds, then 10 bytes.
    public init(timeMs: UInt64, tailHigh: UInt16, tailLow: UInt64) {
        self.init(high: timeMs << 16 | UInt64(tailHigh), low: tailLow)
    }

    /// The first 6 bytes as milliseconds; only ids with the time in front have it.
    public var timeMs: UInt64 { high >> 16 }

    /// Byte order of the wire.
    public static func < (a: Bytes16, b: Bytes16) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    /// Byte `index`, 0..<16.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < 16, "Bytes16 has 16 bytes")
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * (index & 7)))
    }
}

extension Bytes16: CustomStringConvertible {
    /// 32 hexadecimal digits, lower case.
    public var description: String { hexadecimal(high) + hexadecimal(low) }

    /// From 32 hexadecimal digits; `nil` for anything else.
    public init?(hexadecimal text: String) {
        guard let words = words(ofHexadecimal: text, count: 2) else { return nil }
        self.init(high: words[0], low: words[1])
    }
}

/// Sixteen lower-case digits.
func hexadecimal(_ word: UInt64) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

/// Big-endian words from exactly `16 * count` hexadecimal ASCII digits.
func words(ofHexadecimal text: String, count: Int) -> [UInt64]? {
    let bytes = Array(text.utf8)
    guard bytes.count == 16 * count else { return nil }
    var words = [UInt64](repeating: 0, count: count)
    for (index, byte) in bytes.enumerated() {
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case 0x41...0x46: digit = byte - 0x41 + 10
        case 0x61...0x66: digit = byte - 0x61 + 10
        default: return nil
        }
        words[index / 16] = words[index / 16] << 4 | UInt64(digit)
    }
    return words
}
