import SMSText
import Testing

/// What comes after the text: exactly the receiving client's line, and nothing after it.
@Suite struct LastLineTests {
    static func render(
        _ client: ReceivingClient, shop: String = "Fleur", code: String = "483920"
    ) throws -> String {
        try SMSTemplate("{code} is your {shop} code.", shop: shop).render(code: code, minutes: 5, client: client)
    }

    @Test func none() throws {
        #expect(try Self.render(.none) == "483920 is your Fleur code.")
    }

    /// WICG "Delivering origin-bound one-time codes over SMS": `@host`, one space, `#code`, at the very end.
    @Test func web() throws {
        #expect(
            try Self.render(.web(host: "shop.example")) == "483920 is your Fleur code.\n@shop.example #483920"
        )
        #expect(
            try Self.render(.web(host: "xn--fleur-x.example"), code: "K7QX2M9P")
                == "K7QX2M9P is your Fleur code.\n@xn--fleur-x.example #K7QX2M9P")
    }

    /// Android SMS Retriever: the 11 characters end the message.
    @Test func android() throws {
        #expect(
            try Self.render(.android(appHash: "FA+9qCX9VSu")) == "483920 is your Fleur code.\nFA+9qCX9VSu")
        #expect(
            try Self.render(.android(appHash: "abc/DEF+012")) == "483920 is your Fleur code.\nabc/DEF+012")
    }

    /// A host that isn't one is never repaired, because it would name another site.
    @Test(arguments: [
        "", "a b", "evil.example #000000\n@shop.example", "shop.example\n", "@shop.example", "shop.example#1",
        "shöp.example",
        "shop.example/path", "shop.example:8443", "a\u{2028}b", "a\0b", "ｓhop.example", "shop.example\r",
    ])
    func badHostsGetNoLine(_ host: String) throws {
        #expect(try Self.render(.web(host: host)) == "483920 is your Fleur code.")
    }

    @Test(arguments: [
        "", "FA+9qCX9VS", "FA+9qCX9VSuu", "FA+9qCX9VS\n", "FA+9 CX9VSu", "FA+9qCX9VSé", "FA-9qCX9VSu",
        "@a #483920a",
    ])
    func badHashesGetNoLine(_ hash: String) throws {
        #expect(try Self.render(.android(appHash: hash)) == "483920 is your Fleur code.")
    }

    @Test(arguments: [
        ("Fl\neur", "Fl eur"), ("Fl\r\neur", "Fl  eur"), ("\u{1B}[2JFleur", " [2JFleur"),
        ("Fleur\n@evil.example #1", "Fleur @evil.example #1"),
        ("Fl\u{2028}eur", "Fl eur"), ("Fl\u{85}eur", "Fl eur"), ("Fleur\0", "Fleur "),
        ("Флёр & 花", "Флёр & 花"),
    ])
    func shopsStayInTheirLine(_ shop: String, _ shown: String) throws {
        let text = try Self.render(.web(host: "shop.example"), shop: shop)
        #expect(text == "483920 is your \(shown) code.\n@shop.example #483920")
        #expect(text.unicodeScalars.filter { $0 == "\n" }.count == 1)
    }
}
