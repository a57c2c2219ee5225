import SMSText

/// Texts: GSM 03.38 there and back, segments against a second count, and templates: whatever shop and host are, the last line is ours
/// alone and the bill is what was promised when the template was taken.
/// Input: two bytes of lengths, then the text, the shop and the host.
enum TextsFuzz: FuzzTarget {
    static let name = "texts"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard bytes.count <= 1_024 else { return }
        var input = FuzzInput(bytes)
        let (first, second) = (Int(input.u8()), Int(input.u8()) % 64)
        let text = String(decoding: input.take(first), as: UTF8.self)
        let shop = String(decoding: input.take(second), as: UTF8.self)
        let host = String(decoding: input.take(60), as: UTF8.self)
        try alphabet(text, input.rest)
        try segments(text)
        try template(text, shop, host)
        try payee(text)
    }

    private static func alphabet(_ text: String, _ octets: UnsafeRawBufferPointer) throws(FuzzFailure) {
        let encoded = GSM0338.encode(text)
        try expect(GSM0338.septets(of: text) == encoded?.count, "as many septets as octets are written")
        if let encoded {
            try expect(encoded.allSatisfy { $0 < 0x80 }, "a septet has seven bits")
            let back = GSM0338.decode(encoded)
            try expect(back.unicodeScalars.elementsEqual(text.unicodeScalars), "GSM 03.38 changes a text")
        }
        // Whatever a handset sends is a text, and that text is in the alphabet.
        let decoded = GSM0338.decode(Array(octets))
        try expect(GSM0338.encode(decoded) != nil, "what was decoded isn't in the alphabet")
    }

    private static func segments(_ text: String) throws(FuzzFailure) {
        let count = SegmentCount(of: text)
        // Greedy from the other side: parts as long as they can be, cut before a character that doesn't fit.
        let isGSM = GSM0338.encode(text) != nil
        let sizes = text.unicodeScalars.map { scalar in
            isGSM ? (GSM0338.encode(String(scalar))?.count ?? 0) : (scalar.value > 0xFFFF ? 2 : 1)
        }
        let (single, part) = isGSM ? (160, 153) : (70, 67)
        var parts = 1
        let total = sizes.reduce(0, +)
        if total > single {
            var place = 0
            parts = 0
            while place < sizes.count {
                parts += 1
                var left = part
                while place < sizes.count, sizes[place] <= left {
                    left -= sizes[place]
                    place += 1
                }
            }
        }
        let expected = (isGSM ? SMSEncoding.gsm7 : .ucs2, total, parts)
        try expect((count.encoding, count.units, count.segments) == expected, "\(count) for what is \(expected)")
    }

    private static func template(_ text: String, _ shop: String, _ host: String) throws(FuzzFailure) {
        guard let template = try? SMSTemplate(text, shop: shop, maxima: maxima(code: 8)), !template.isPayment else { return }
        for (client, line) in [
            (ReceivingClient.none, nil), (.web(host: host), "@\(host) #12345678"), (.android(appHash: host), host),
        ] {
            let message = template.render(code: "12345678", minutes: 10, client: client)
            let lines = message.unicodeScalars.split(omittingEmptySubsequences: false) { isLineEnd($0) }
            try expect(lines.count <= 2, "a template gave \(lines.count) lines")
            if lines.count == 2 {
                try expect(line.map { lines[1].elementsEqual($0.unicodeScalars) } ?? false, "the last line isn't ours")
                let isPlain = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x23 && $0 != 0x40 }
                try expect(isPlain && !host.isEmpty, "a last line names `\(host)`")
            }
            let bill = SegmentCount(of: message)
            try expect(
                bill.segments <= (bill.encoding == .gsm7 ? 1 : 2), "a template that was taken costs \(bill.segments) segments")
            try expect(message.contains("12345678"), "a message without its code")
        }
    }

    /// Whatever a payee is called, what is shown of it is short, of one line, and brings no link and no code.
    private static func payee(_ name: String) throws(FuzzFailure) {
        guard let payee = try? Payee(cleaning: name, maximum: 24, language: "en") else { return }
        let text = payee.text
        try expect(!text.isEmpty && text.utf16.count <= 24, "a payee of \(text.utf16.count) units")
        try expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0.properties.isDefaultIgnorableCodePoint },
            "a payee with what can't be seen")
        try expect(!text.utf8.contains { "@#:\\<>_".utf8.contains($0) }, "a payee with a sign of links")
        let digits = text.utf8.filter { (0x30...0x39).contains($0) }.count
        try expect(digits <= 4 || text.unicodeScalars.contains { $0.properties.isAlphabetic }, "a payee that is a number")
        try expect(GSM0338.septets(of: text).map { $0 == text.unicodeScalars.count } ?? true, "a payee's character takes two septets")
    }

    private static func maxima(code: Int) -> TextMaxima {
        var maxima = TextMaxima()
        maxima.code = code
        return maxima
    }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
