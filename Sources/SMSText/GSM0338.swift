/// The default alphabet of 3GPP TS 23.038 (GSM 03.38) with its extension table.
public enum GSM0338 {
    /// Position = septet; 0x1B is the escape to the extension table.
    private static let basic: [Unicode.Scalar] = Array(
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1B}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
            .unicodeScalars)
    private static let extended: [(septet: UInt8, scalar: Unicode.Scalar)] = [
        (0x0A, "\u{0C}"), (0x14, "^"), (0x28, "{"), (0x29, "}"), (0x2F, "\\"), (0x3C, "["), (0x3D, "~"), (0x3E, "]"),
        (0x40, "|"), (0x65, "€"),
    ]

    private static func code(of scalar: Unicode.Scalar) -> (septet: UInt8, isExtended: Bool)? {
        if scalar != "\u{1B}", let index = basic.firstIndex(of: scalar) { return (UInt8(index), false) }
        if let entry = extended.first(where: { $0.scalar == scalar }) { return (entry.septet, true) }
        return nil
    }

    /// Septets that `text` takes, 2 for a character of the extension table; `nil` when a character forces UCS-2.
    public static func septets(of text: String) -> Int? {
        var count = 0
        for scalar in text.unicodeScalars {
            guard let code = code(of: scalar) else { return nil }
            count += code.isExtended ? 2 : 1
        }
        return count
    }

    /// One octet a septet, escapes included; `nil` when a character forces UCS-2.
    public static func encode(_ text: String) -> [UInt8]? {
        var octets: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let code = code(of: scalar) else { return nil }
            if code.isExtended { octets.append(0x1B) }
            octets.append(code.septet)
        }
        return octets
    }

    /// The text of unpacked septets, whatever the eighth bit is. As the standard asks, an unknown escape gives its basic character, and
    /// an escape that is escaped, or the last septet, a space.
    public static func decode(_ septets: [UInt8]) -> String {
        var scalars = String.UnicodeScalarView()
        var isEscaped = false
        for octet in septets {
            let septet = octet & 0x7F
            if septet == 0x1B {
                if isEscaped { scalars.append(" ") }
                isEscaped.toggle()
                continue
            }
            if isEscaped, let entry = extended.first(where: { $0.septet == septet }) {
                scalars.append(entry.scalar)
            } else {
                scalars.append(basic[Int(septet)])
            }
            isEscaped = false
        }
        if isEscaped { scalars.append(" ") }
        return String(scalars)
    }
}
