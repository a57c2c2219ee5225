import Foundation
import SMSText
import Testing

/// `Tests/Vectors/text`, which codecs that aren't ours have written.
@Suite struct VectorTests {
    /// A file's lines, comments left out, in words.
    static func lines(_ name: String, _ here: String = #filePath) throws -> [[Substring]] {
        let folder = URL(fileURLWithPath: here).deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: folder.appending(path: "Vectors/text/\(name)"), encoding: .utf8)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ") }
    }

    /// Every code point of Unicode is encoded as the file says, or not at all.
    @Test func alphabet() throws {
        var expected: [UInt32: [UInt8]] = [:]
        for line in try Self.lines("alphabet.txt") {
            try #require(line.count == 2)
            let point = try #require(UInt32(line[0], radix: 16))
            let value = try #require(UInt16(line[1], radix: 16))
            expected[point] = line[1].count == 4 ? [UInt8(value >> 8), UInt8(value & 0xFF)] : [UInt8(value)]
        }
        #expect(expected.count == 137)
        var wrong: [UInt32] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(scalar)
            if GSM0338.encode(text) != expected[value] || GSM0338.septets(of: text) != expected[value]?.count {
                wrong.append(value)
            }
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(20).map { "U+" + String($0, radix: 16) })")
    }

    @Test func segments() throws {
        let lines = try Self.lines("segments.txt")
        #expect(lines.count > 200)
        for line in lines {
            try #require(line.count >= 3)
            var text = String.UnicodeScalarView()
            for run in line.dropFirst(3) {
                let parts = run.split(separator: "x")
                let scalar = try #require(UInt32(parts[0], radix: 16).flatMap(Unicode.Scalar.init))
                let count = try parts.count == 2 ? #require(Int(parts[1])) : 1
                text.append(contentsOf: repeatElement(scalar, count: count))
            }
            let found = SegmentCount(of: String(text))
            #expect("\(found.encoding) \(found.units) \(found.segments)" == line.prefix(3).joined(separator: " "), "\(line)")
        }
    }
}
