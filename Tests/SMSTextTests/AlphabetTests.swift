import SMSText
import Testing

/// GSM 03.38 against the standard's table, character by character.
@Suite struct AlphabetTests {
    static func text(_ values: [UInt32]) -> String {
        var view = String.UnicodeScalarView()
        for value in values { if let scalar = Unicode.Scalar(value) { view.append(scalar) } }
        return String(view)
    }

    @Test func theTableIsWhole() {
        #expect(StandardAlphabet.basic.count == 128)
        #expect(StandardAlphabet.octets.count == 127 + 10, "no character stands twice")
    }

    @Test func everyCharacterBothWays() {
        for (value, octets) in StandardAlphabet.octets {
            let text = Self.text([value])
            #expect(GSM0338.encode(text) == octets, "U+\(String(value, radix: 16))")
            #expect(GSM0338.septets(of: text) == octets.count, "U+\(String(value, radix: 16))")
            #expect(GSM0338.decode(octets).unicodeScalars.map(\.value) == [value], "\(octets)")
        }
    }

    /// The whole Basic Multilingual Plane, and a walk through the planes above: what isn't in the table
    /// forces UCS-2.
    @Test func everyScalarIsClassified() {
        var wrong: [UInt32] = []
        let planes =
            Array(0...0xFFFF as ClosedRange<UInt32>)
            + Array(stride(from: 0x1_0000, through: 0x10_FFFF, by: 61))
        for value in planes {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(scalar)
            let octets = StandardAlphabet.octets[value]
            let count = SegmentCount(of: text)
            let units = octets?.count ?? (value > 0xFFFF ? 2 : 1)
            let isRight =
                GSM0338.septets(of: text) == octets?.count && GSM0338.encode(text) == octets
                && count.units == units
                && count.encoding == (octets == nil ? .ucs2 : .gsm7) && count.segments == 1
            if !isRight { wrong.append(value) }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(20).map { "U+" + String($0, radix: 16) })")
    }

    /// Characters that look as if they belonged.
    @Test(arguments: [
        "`", "ç", "á", "’", "“", "–", "…", "\u{A0}", "Á", "\t", "\0", "\u{1B}", "e\u{301}", "😀", "я", "中",
    ])
    func lookAlikesForceUCS2(_ text: String) {
        #expect(GSM0338.septets(of: text) == nil)
        #expect(GSM0338.encode("a" + text + "b") == nil)
        #expect(SegmentCount(of: "a" + text + "b").encoding == .ucs2)
    }

    @Test func textsAsAWhole() {
        let values = StandardAlphabet.octets.keys.sorted()
        let text = Self.text(values)
        #expect(GSM0338.encode(text) == values.flatMap { StandardAlphabet.octets[$0] ?? [] })
        #expect(GSM0338.septets(of: text) == 127 + 20)
        #expect(GSM0338.encode(text).map { GSM0338.decode($0) } == text)
        #expect(GSM0338.encode("") == [])
        #expect(GSM0338.septets(of: "") == 0)
        #expect(GSM0338.encode("\r\n") == [0x0D, 0x0A], "one grapheme, two septets")
        #expect(GSM0338.encode("[€]") == [0x1B, 0x3C, 0x1B, 0x65, 0x1B, 0x3E])
    }

    /// §6.2.1.1: an escape without an entry shows the basic character; one that is escaped, or ends the text,
    /// a space.
    @Test func escapesOutsideTheTable() {
        for septet in UInt8(0)..<128 where StandardAlphabet.extended[septet] == nil {
            guard let basic = StandardAlphabet.basic[Int(septet)] else { continue }
            #expect(
                GSM0338.decode([0x1B, septet]).unicodeScalars.map(\.value) == [basic], "septet \(septet)")
        }
        #expect(GSM0338.decode([0x1B, 0x1B, 0x65]) == " e", "€ isn't what was escaped")
        #expect(GSM0338.decode([0x61, 0x1B]) == "a ")
    }
}
