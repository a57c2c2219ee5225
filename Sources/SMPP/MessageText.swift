import SMSText

/// A text as one route wants it: octets and `data_coding`, in one short message or in parts.
package struct MessageText: Sendable, Equatable {
    /// What the provider takes texts in that need no UCS-2.
    package enum Alphabet: String, Sendable, CaseIterable {
        /// GSM 03.38, one octet a septet; data_coding 0, the SMSC's default.
        case gsm
        /// ISO 8859-1; data_coding 3.
        case latin1
        /// ASCII; data_coding 1.
        case ascii
    }

    /// Two segments are the longest text there is (the policy's bound for UCS-2); a few more cost nothing.
    static let maxParts = 8

    package var dataCoding: UInt8
    /// Octets of each part, its user data header included.
    package var parts: [[UInt8]]
    /// `esm_class` 0x40: each part begins with a header.
    package var hasHeader: Bool { parts.count > 1 }

    /// `nil` for a text of more than 8 parts.
    /// - Parameters:
    ///   - dataCoding: instead of the alphabet's own, for SMSCs whose default isn't GSM 03.38.
    ///   - reference: joins the parts of one text at the handset.
    package init?(_ text: String, alphabet: Alphabet, dataCoding: UInt8? = nil, reference: UInt8) {
        let units: [[UInt8]]
        let (single, part): (Int, Int)
        let scalars = text.unicodeScalars
        if GSM0338.septets(of: text) != nil,
            let encoded = MessageText.units(of: scalars, alphabet)
        {
            units = encoded
            (single, part) = (160, 153)
            self.dataCoding = dataCoding ?? alphabet.dataCoding
        } else {
            units = scalars.map { scalar in
                UTF16.encode(scalar).map { $0.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } } ?? []
            }
            (single, part) = (140, 134)
            self.dataCoding = 8
        }
        // In another alphabet an SMSC still sends GSM 03.38, where some characters take two septets.
        let isWide = self.dataCoding == 8
        let sizes = isWide ? units.map(\.count) : scalars.map { GSM0338.septets(of: String($0)) ?? 1 }
        guard sizes.reduce(0, +) > single else {
            parts = [units.flatMap { $0 }]
            return
        }
        var bodies: [[UInt8]] = [[]]
        var used = 0
        for (unit, size) in zip(units, sizes) {
            if used + size > part {
                bodies.append([])
                used = 0
            }
            bodies[bodies.count - 1] += unit
            used += size
        }
        guard bodies.count <= MessageText.maxParts else { return nil }
        let total = UInt8(bodies.count)
        parts = bodies.enumerated().map { index, body in [5, 0, 3, reference, total, UInt8(index + 1)] + body
        }
    }

    /// The octets of each character; `nil` when the alphabet hasn't all of them.
    private static func units(of scalars: String.UnicodeScalarView, _ alphabet: Alphabet) -> [[UInt8]]? {
        var units: [[UInt8]] = []
        for scalar in scalars {
            switch alphabet {
            case .gsm:
                guard let septets = GSM0338.encode(String(scalar)) else { return nil }
                units.append(septets)
            case .latin1, .ascii:
                guard scalar.value <= (alphabet == .ascii ? 0x7F : 0xFF) else { return nil }
                units.append([UInt8(scalar.value)])
            }
        }
        return units
    }
}

extension MessageText.Alphabet {
    var dataCoding: UInt8 {
        switch self {
        case .gsm: 0
        case .latin1: 3
        case .ascii: 1
        }
    }
}
