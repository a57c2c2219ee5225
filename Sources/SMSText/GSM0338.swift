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

    /// Marks a code of the extension table, above its septet.
    private static let shift: UInt16 = 0x100
    /// By code point, up to the last Greek letter: the septet, with `shift` for the extension table. `€` alone stands beyond.
    private static let codes: [UInt16?] = {
        var codes = [UInt16?](repeating: nil, count: 0x3AA)
        for (septet, scalar) in basic.enumerated() where scalar != "\u{1B}" { codes[Int(scalar.value)] = UInt16(septet) }
        for entry in extended where entry.scalar != "€" { codes[Int(entry.scalar.value)] = UInt16(entry.septet) | shift }
        return codes
    }()

    private static func code(of scalar: Unicode.Scalar) -> UInt16? {
        if scalar.value < 0x3AA { return codes[Int(scalar.value)] }
        return scalar == "€" ? 0x65 | shift : nil
    }

    /// Septets of one character: 1, 2, or `nil` outside the alphabet.
    static func septets(of scalar: Unicode.Scalar) -> Int? {
        guard let code = code(of: scalar) else { return nil }
        return code & shift == 0 ? 1 : 2
    }

    /// Septets that `text` takes, 2 for a character of the extension table; `nil` when a character forces UCS-2.
    public static func septets(of text: String) -> Int? {
        var count = 0
        for scalar in text.unicodeScalars {
            guard let septets = septets(of: scalar) else { return nil }
            count += septets
        }
        return count
    }

    /// One octet a septet, escapes included; `nil` when a character forces UCS-2.
    public static func encode(_ text: String) -> [UInt8]? {
        var octets: [UInt8] = []
        octets.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard let code = code(of: scalar) else { return nil }
            if code & shift != 0 { octets.append(0x1B) }
            octets.append(UInt8(truncatingIfNeeded: code))
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
