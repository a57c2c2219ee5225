import SMSText
import Testing

/// What is shown of a payee, and which names are refused.
@Suite struct PayeeTests {
    static func clean(_ name: String, _ maximum: Int = 24, _ language: String = "en") throws(PayeeError) -> String {
        try Payee(cleaning: name, maximum: maximum, language: language).text
    }

    @Test(arguments: [
        ("Fleur", "Fleur"), ("  Café   Rose ", "Café Rose"), ("O’Neill & Söhne – Berlin", "O'Neill & Söhne - Berlin"),
        ("S.p.A. Rossi", "S.p.A. Rossi"), ("Maersk A/S", "Maersk A/S"), ("Dr. Oetker", "Dr. Oetker"), ("A.B. Foods Inc.", "A.B. Foods Inc."),
        ("7-Eleven", "7-Eleven"), ("4711", "4711"), ("O2", "O2"), ("Forever21", "Forever21"), ("1&1 Internet", "1&1 Internet"),
        ("Café ☕ Rose", "Café Rose"), ("三只松鼠", "三只松鼠"), ("7天Hotel", "7天Hotel"), ("ソニーStore", "ソニーStore"), ("متجر الورد", "متجر الورد"),
        ("फूल की दुकान", "फूल की दुकान"), ("Łódź Śląsk", "Łódź Śląsk"), ("Ромашка", "Ромашка"), ("ООО Ромашка", "ООО Ромашка"),
        ("Fleur [Paris] {x}", "Fleur Paris x"), ("Amazon भारत", "Amazon भारत"),
    ])
    func names(_ name: String, _ shown: String) throws { #expect(try Self.clean(name) == shown) }

    /// Line breaks would start a last line; bidi and zero-width characters show something else than what is there.
    @Test(arguments: [
        ("Fl\neur", "Fl eur"), ("Fl\r\neur", "Fl eur"), ("Fleur\u{0}\u{1B}[2J", "Fleur 2J"), ("Fl\u{2028}eur\u{85}x", "Fl eur x"),
        ("\u{202E}ruelF\u{202C}", "ruelF"), ("\u{2066}Fleur\u{2069}", "Fleur"), ("Fl\u{200B}e\u{200D}u\u{FEFF}r\u{AD}", "Fleur"),
        ("Fleur\u{FE0F}\u{E0041}", "Fleur"), ("Fl\u{3164}eur", "Fleur"), ("Fl\u{A0}eur\u{3000}x", "Fl eur x"),
    ])
    func whatHidesIsTakenAway(_ name: String, _ shown: String) throws { #expect(try Self.clean(name) == shown) }

    @Test(arguments: [
        ("Booking.com", "Booking com"), ("https://evil.example/x", "https evil example x"), ("t.co", "t co"), ("a@b.example", "a b example"),
        ("shop.example #1234", "shop example 1234"), ("evil。example", "evil example"), ("www.evil.example.", "www evil example."),
        ("Fleur\n@evil.example #1", "Fleur evil example 1"), ("a.bc", "a bc"), (".com", "com"), ("c/o Bob", "c/o Bob"), ("and/or", "and or"),
        ("1.1.1.1", "1 1 1 1"), ("a.1.b", "a 1 b"), ("7/7", "7 7"),
    ])
    func linksAreBroken(_ name: String, _ shown: String) throws { #expect(try Self.clean(name) == shown) }

    @Test(arguments: [
        "123456", "Call +49 30 1234567", "12345", "1 2 3 4 5", "1-2.3/4 5", "code 483-920", "K7QX2M9P", "ABC123", "１２３４５", "١٢٣٤٥",
        "12\u{200B}345", "a1b2c3", "Pay 12 34 56",
        "K7Q-X2M", "K7Q.X2M", "A1-B2-C3", "Fleur K7Q/X2M",
    ])
    func numbersThatCouldBeCodes(_ name: String) {
        #expect { try Self.clean(name) } throws: { error in if case PayeeError.digits = error { true } else { "１２３４５" == name } }
    }

    /// UTS #39: Latin "paypal" with Cyrillic letters in it, and "paypal", "COCA", "AB" wholly of them.
    @Test(arguments: ["pаypal", "Fleuг", "ΑΒCD", "ѕhop", "paypaӏ"])
    func mixedWords(_ name: String) {
        #expect { try Self.clean(name) } throws: { error in if case PayeeError.mixedScripts = error { true } else { false } }
    }

    @Test(arguments: ["раура", "СОСА", "АВ", "ΑΒΟ", "Shop СОСА", "оссо", "СОСА Ромашка", "АВ Shop", "ОО АР Shop", "АВ Ελλάς"])
    func wholeWordsThatLookLatin(_ name: String) throws {
        #expect { try Self.clean(name) } throws: { error in if case PayeeError.looksLatin = error { true } else { false } }
        let language = name.hasPrefix("Α") ? "el" : "ru"
        #expect(try Self.clean(name, 24, language) == name, "readers of the language know its letters")
    }

    @Test(arguments: ["𝐅leur", "Ｆleur", "\u{E000}x", "ꜰleur", "ﬁeur", "ſhop"])
    func lettersThatNoNameNeeds(_ name: String) {
        #expect { try Self.clean(name) } throws: { error in
            if case PayeeError.character = error { true } else { false }
        }
    }

    @Test func marks() throws {
        #expect(try Self.clean("Cafe\u{301}") == "Cafe\u{301}")
        #expect(throws: PayeeError.marks) { try Self.clean("e\u{301}\u{301}") }
        #expect(throws: PayeeError.marks) { try Self.clean("e\u{301}\u{302}\u{303}\u{304}\u{306}") }
        #expect(throws: PayeeError.marks) { try Self.clean("a \u{301}") }
    }

    @Test func nothingAndTooMuch() {
        for name in ["", " ", "\n", "☕", "...", "\u{200B}", "-'"] { #expect(throws: PayeeError.length) { try Self.clean(name) } }
        #expect(throws: PayeeError.length) { try Self.clean(String(repeating: "a", count: 513)) }
    }

    @Test func longNamesEndInDots() throws {
        #expect(try Self.clean("Gesellschaft der Musikfreunde in Wien") == "Gesellschaft der Musi...")
        #expect(try Self.clean("Gesellschaft der M - usikfreunde", 22) == "Gesellschaft der M...")
        #expect(try Self.clean(String(repeating: "e\u{301}", count: 20), 8) == "e\u{301}e\u{301}...", "no accent is cut off its letter")
        #expect(try Self.clean(String(repeating: "a", count: 24)) == String(repeating: "a", count: 24))
        // One grapheme of 21 units: no part of it is a name.
        #expect(throws: PayeeError.length) { try Self.clean("क" + String(repeating: "ा", count: 20), 8) }
    }
}
