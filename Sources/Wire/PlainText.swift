/// Text that an operator's screen shows as it is: what people write of themselves into events.
public enum PlainText {
    /// Whether bytes are UTF-8 on one line, read in the order of its bytes, and not blank.
    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.unicodeScalars.allSatisfy { !steers($0) }
            && !text.unicodeScalars.allSatisfy(\.properties.isWhitespace)
    }

    /// C0, DEL and C1, the separators of lines and paragraphs, and what turns the direction of the text behind it.
    public static func steers(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x61C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
