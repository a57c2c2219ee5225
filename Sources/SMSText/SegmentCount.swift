/// How a text travels.
public enum SMSEncoding: Sendable, Equatable {
    /// 7 bits a character: 160 in one message, 153 in each part of a longer one.
    case gsm7
    /// UTF-16: 70, or 67 in each part.
    case ucs2
}

/// What a text costs.
public struct SegmentCount: Sendable, Equatable {
    /// Forced to UCS-2 by a single character outside GSM 03.38.
    public var encoding: SMSEncoding
    /// Septets or UTF-16 units.
    public var units: Int
    /// Messages on the bill.
    public var segments: Int

    /// Counts `text`; a character that takes two units is never split over two parts.
    public init(of text: String) {
        let sizes: [Int]
        let (single, part): (Int, Int)
        if GSM0338.septets(of: text) != nil {
            encoding = .gsm7
            (single, part) = (160, 153)
            sizes = text.unicodeScalars.map { GSM0338.septets(of: String($0)) ?? 1 }
        } else {
            encoding = .ucs2
            (single, part) = (70, 67)
            sizes = text.unicodeScalars.map { UTF16.width($0) }
        }
        units = sizes.reduce(0, +)
        guard units > single else {
            segments = 1
            return
        }
        segments = 1
        var used = 0
        for size in sizes {
            if used + size > part {
                segments += 1
                used = 0
            }
            used += size
        }
    }
}
