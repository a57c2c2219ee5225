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
        var septets = Tally(single: 160, part: 153)
        var units = Tally(single: 70, part: 67)
        var isGSM7 = true
        for scalar in text.unicodeScalars {
            if isGSM7, let size = GSM0338.septets(of: scalar) { septets.add(size) } else { isGSM7 = false }
            units.add(UTF16.width(scalar))
        }
        encoding = isGSM7 ? .gsm7 : .ucs2
        (self.units, segments) = isGSM7 ? septets.sum : units.sum
    }

    /// Units as they fill the parts.
    private struct Tally {
        let single: Int
        let part: Int
        private var total = 0
        private var parts = 1
        private var used = 0

        init(single: Int, part: Int) { (self.single, self.part) = (single, part) }

        mutating func add(_ size: Int) {
            total += size
            if used + size > part {
                parts += 1
                used = 0
            }
            used += size
        }

        /// What fits one message needs no parts.
        var sum: (Int, Int) { (total, total <= single ? 1 : parts) }
    }
}
