import SMSText
import Testing

/// What a text costs: the edges of one message and of the parts of a longer one.
@Suite struct SegmentTests {
    struct Edge: Sendable {
        let text: String
        let encoding: SMSEncoding
        let units: Int
        let segments: Int

        /// `pieces`: a text and how often.
        init(_ pieces: (String, Int)..., encoding: SMSEncoding, units: Int, segments: Int) {
            text = pieces.map { String(repeating: $0.0, count: $0.1) }.joined()
            self.encoding = encoding
            self.units = units
            self.segments = segments
        }
    }

    static let gsm7 = [
        Edge(encoding: .gsm7, units: 0, segments: 1),
        Edge(("a", 1), encoding: .gsm7, units: 1, segments: 1),
        Edge(("a", 159), encoding: .gsm7, units: 159, segments: 1),
        Edge(("a", 160), encoding: .gsm7, units: 160, segments: 1),
        Edge(("a", 161), encoding: .gsm7, units: 161, segments: 2),
        Edge(("a", 306), encoding: .gsm7, units: 306, segments: 2),
        Edge(("a", 307), encoding: .gsm7, units: 307, segments: 3),
        Edge(("a", 459), encoding: .gsm7, units: 459, segments: 3),
        Edge(("a", 460), encoding: .gsm7, units: 460, segments: 4),
        Edge(("€", 80), encoding: .gsm7, units: 160, segments: 1),
        Edge(("a", 158), ("€", 1), encoding: .gsm7, units: 160, segments: 1),
        Edge(("a", 159), ("€", 1), encoding: .gsm7, units: 161, segments: 2),
        Edge(("€", 80), ("a", 1), encoding: .gsm7, units: 161, segments: 2),
    ]

    /// A pair that would be cut at the edge moves into the next part and leaves a unit unused: 153 holds 152,
    /// 67 holds 66.
    static let straddling = [
        Edge(("a", 151), ("€", 1), ("a", 153), encoding: .gsm7, units: 306, segments: 2),
        Edge(("a", 152), ("€", 1), ("a", 151), encoding: .gsm7, units: 305, segments: 2),
        Edge(("a", 152), ("€", 1), ("a", 152), encoding: .gsm7, units: 306, segments: 3),
        Edge(("€", 152), encoding: .gsm7, units: 304, segments: 2),
        Edge(("€", 153), encoding: .gsm7, units: 306, segments: 3),
        Edge(("я", 65), ("😀", 1), ("я", 67), encoding: .ucs2, units: 134, segments: 2),
        Edge(("я", 66), ("😀", 1), ("я", 65), encoding: .ucs2, units: 133, segments: 2),
        Edge(("я", 66), ("😀", 1), ("я", 66), encoding: .ucs2, units: 134, segments: 3),
        Edge(("😀", 66), encoding: .ucs2, units: 132, segments: 2),
        Edge(("😀", 67), encoding: .ucs2, units: 134, segments: 3),
    ]

    static let ucs2 = [
        Edge(("я", 1), encoding: .ucs2, units: 1, segments: 1),
        Edge(("я", 69), encoding: .ucs2, units: 69, segments: 1),
        Edge(("я", 70), encoding: .ucs2, units: 70, segments: 1),
        Edge(("я", 71), encoding: .ucs2, units: 71, segments: 2),
        Edge(("я", 134), encoding: .ucs2, units: 134, segments: 2),
        Edge(("я", 135), encoding: .ucs2, units: 135, segments: 3),
        Edge(("😀", 35), encoding: .ucs2, units: 70, segments: 1),
        Edge(("я", 68), ("😀", 1), encoding: .ucs2, units: 70, segments: 1),
        Edge(("я", 69), ("😀", 1), encoding: .ucs2, units: 71, segments: 2),
        // One character outside the alphabet costs the whole text its 7 bits, wherever it stands; € is one
        // unit then.
        Edge(("a", 69), ("`", 1), encoding: .ucs2, units: 70, segments: 1),
        Edge(("`", 1), ("a", 159), encoding: .ucs2, units: 160, segments: 3),
        Edge(("€", 69), ("ç", 1), encoding: .ucs2, units: 70, segments: 1),
        // A grapheme of several scalars counts each: e + U+0301, and a family of seven scalars and eleven
        // units.
        Edge(("e\u{301}", 35), encoding: .ucs2, units: 70, segments: 1),
        Edge(("👩‍👩‍👧‍👦", 1), encoding: .ucs2, units: 11, segments: 1),
    ]

    @Test(arguments: gsm7 + straddling + ucs2) func edge(_ edge: Edge) {
        let count = SegmentCount(of: edge.text)
        #expect(count.encoding == edge.encoding)
        #expect(count.units == edge.units)
        #expect(count.segments == edge.segments)
    }
}
