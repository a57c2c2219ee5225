/// How a value is written in each place that it may stand in.
package enum Escape {
    private static let hexadecimal = Array("0123456789ABCDEF".utf8)

    /// RFC 3986: all but unreserved characters as `%XX` of UTF-8.
    package static func percent(_ text: String) -> String { percent(text, space: nil) }

    /// application/x-www-form-urlencoded, in the order given.
    package static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\(formValue($0.0))=\(formValue($0.1))" }.joined(separator: "&")
    }

    /// One name or value of a form.
    static func formValue(_ text: String) -> String { percent(text, space: 0x2B) }

    private static func percent(_ text: String, space: UInt8?) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            case 0x20 where space != nil: bytes.append(space ?? byte)
            default: bytes += [0x25, hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What stands between the quotes of a JSON string (RFC 8259, section 7).
    static func json(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: bytes += [0x5C, byte]
            case 0x0A: bytes += Array("\\n".utf8)
            case 0x00..<0x20:
                bytes += Array("\\u00".utf8) + [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Text or an attribute's value in XML 1.0; characters that XML has no way to write are left out.
    static func xml(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case "\t", "\n", "\r": result += "&#\(scalar.value);"
            case "\u{0}"..."\u{1F}", "\u{FFFE}", "\u{FFFF}": break
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
