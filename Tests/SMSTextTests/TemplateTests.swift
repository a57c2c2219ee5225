import SMSText
import Testing

/// The places of a template, what is refused, and the worst case.
@Suite struct TemplateTests {
    static let hash = "FA+9qCX9VSu"

    static func refusal(_ text: String, code: Int = 10, shop: String = "Shop", host: Int = 60) -> String? {
        do throws(TemplateError) {
            var maxima = TextMaxima()
            (maxima.code, maxima.host) = (code, host)
            _ = try SMSTemplate(text, shop: shop, maxima: maxima)
            return nil
        } catch { return error.description }
    }

    @Test(arguments: [
        ("{code}", "483920"),
        (
            "{code} is your {shop} code. It expires in {minutes} minutes.",
            "483920 is your Fleur code. It expires in 5 minutes."
        ),
        ("{shop}: {code}", "Fleur: 483920"),
        ("{shop}{code}{minutes}", "Fleur4839205"),
        ("{shop}, {shop}: {code} ({minutes}/{minutes})", "Fleur, Fleur: 483920 (5/5)"),
        ("a } b {code} }", "a } b 483920 }"),
        ("Votre code à usage unique : {code}", "Votre code à usage unique : 483920"),
    ])
    func places(_ text: String, _ expected: String) throws {
        let template = try SMSTemplate(text, shop: "Fleur")
        #expect(template.render(code: "483920", minutes: 5, client: .none) == expected)
    }

    /// A value that looks like a place stays what it is.
    @Test func valuesAreNotTemplates() throws {
        let template = try SMSTemplate("{shop}: {code}", shop: "{code}")
        #expect(template.render(code: "1", minutes: 5, client: .none) == "{code}: 1")
    }

    @Test(arguments: [
        ("your code", "the place {code} must stand exactly once"),
        ("", "the place {code} must stand exactly once"),
        ("{code} {code}", "the place {code} must stand exactly once"),
        ("{cod}: {code}", "unknown place {cod}; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{Code}", "unknown place {Code}; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{ code }", "unknown place { code }; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{}{code}", "unknown place {}; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{{code}}", "unknown place {{code}; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{code} {", "a `{` has no `}`; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
        ("{code", "a `{` has no `}`; places are {code}, {shop}, {minutes}, and for payments {amount} and {payee}"),
    ])
    func badPlaces(_ text: String, _ expected: String) {
        #expect(Self.refusal(text) == expected)
    }

    /// A line of its own would let a text forge the last one; the others have no business in a message.
    @Test(arguments: [
        "\n", "\r\n", "\r", "\u{0C}", "\0", "\t", "\u{1B}", "\u{7F}", "\u{85}", "\u{9B}", "\u{2028}",
        "\u{2029}",
    ])
    func controlCharactersAreRefused(_ control: String) {
        for text in ["{code} a\(control)b", "\(control){code}", "{code}\(control)"] {
            #expect(
                Self.refusal(text) == "a text is one line without control characters; the last line is otpd's"
            )
        }
    }

    /// `@host #code` with the longest host and code takes 1 + 1 + 60 + 2 + 10 septets: 86 are left, 10 of
    /// them for the code.
    @Test func worstCaseOfGSM7() {
        let literal = String(repeating: "a", count: 76)
        #expect(Self.refusal("{code}" + literal) == nil)
        let refused =
            "it can take 161 septets with client web, which is 2 segments; 160 are allowed. It counts: code 10, host 60."
            + " Shorten the text or the hosts."
        #expect(Self.refusal("{code}a" + literal) == refused)
        #expect(Self.refusal("{code}a" + literal, host: 59) == nil)
        #expect(Self.refusal("{code}aa" + literal, code: 9) == nil, "a digit less counts twice")
        #expect(Self.refusal("{code}aaa" + literal, code: 9)?.contains("161 septets") == true)
    }

    /// The app's hash is the longer last line when hosts are short.
    @Test func worstCaseOfTheAppHash() {
        let literal = String(repeating: "a", count: 160 - 10 - 12)
        #expect(Self.refusal("{code}" + literal, host: 0) == nil)
        #expect(Self.refusal("{code}a" + literal, host: 0) != nil)
    }

    @Test func worstCaseCountsEveryPlace() {
        let literal = String(repeating: "a", count: 76)
        #expect(Self.refusal("{code}{shop}" + literal.dropLast(5), shop: "Fleur") == nil)
        #expect(Self.refusal("{code}{shop}" + literal.dropLast(4), shop: "Fleur") != nil)
        #expect(Self.refusal("{code}{shop}{shop}" + literal.dropLast(9), shop: "Fleur") != nil)
        #expect(Self.refusal("{code}{minutes}" + literal.dropLast(2)) == nil, "a life is 10 minutes at most")
        #expect(Self.refusal("{code}{minutes}" + literal.dropLast(1)) != nil)
        #expect(Self.refusal("{code}€" + literal.dropLast(2)) == nil, "two septets")
        #expect(Self.refusal("{code}€" + literal.dropLast(1)) != nil)
    }

    /// 134 units in two parts of 67; a shop's name alone can force UCS-2.
    @Test func worstCaseOfUCS2() {
        let literal = String(repeating: "я", count: 134 - 74 - 10)
        let refused = "135 UCS-2 units with client web, which is 3 segments; 134 are allowed"
        #expect(Self.refusal("{code}" + literal) == nil)
        #expect(Self.refusal("{code}я" + literal)?.contains(refused) == true)
        let latin = String(repeating: "a", count: 50)
        #expect(Self.refusal("{code}{shop}" + latin.dropLast(5), shop: "Fleur") == nil)
        #expect(Self.refusal("{code}{shop}" + latin.dropLast(5), shop: "Флёр!") == nil)
        #expect(Self.refusal("{code}{shop}" + latin.dropLast(4), shop: "Fleur") == nil)
        #expect(Self.refusal("{code}{shop}" + latin.dropLast(4), shop: "Флёр!")?.contains(refused) == true)
    }

    /// What is paid to whom stands before the code, whole, or not at all.
    @Test(arguments: [
        "{amount}: {code}", "{payee}: {code}", "{code} {amount} {payee}", "{amount} {code} {payee}", "{amount} {amount} {code}",
        "{amount} {payee} {payee} {code}",
    ])
    func halfAPayment(_ text: String) {
        #expect(Self.refusal(text) == "{amount} and {payee} must stand once each, both before {code}, or not at all")
    }

    /// A Hebrew or Arabic payee would change places with digits right after it.
    @Test(arguments: ["{amount} {payee}: {code}", "{payee} {amount} {code}", "Pay {amount} {payee} {minutes}{code}"])
    func aWordBeforeTheCode(_ text: String) {
        #expect(Self.refusal(text)?.hasPrefix("before {code} must stand a word") == true)
        #expect(Self.refusal(text.replacing("{code}", with: " code {code}"), host: 40) == nil)
    }

    @Test func paymentsShowAmountAndPayee() throws {
        var maxima = TextMaxima()
        maxima.host = 40
        let template = try SMSTemplate("{amount} to {payee}: code {code}", shop: "Fleur", maxima: maxima)
        let euro = try #require(Currency("EUR"))
        let payment = Payment(
            amount: Amount(minorUnits: 123_456, currency: euro), payee: try Payee(cleaning: "Café Rose", maximum: 24, language: "en"))
        let text = template.render(code: "12345678", minutes: 5, payment: payment, client: .web(host: "shop.example"))
        #expect(text == "EUR 1,234.56 to Café Rose: code 12345678\n@shop.example #12345678")
        #expect(
            template.render(code: "1", minutes: 5, payment: payment, locale: "en_IN", client: .none) == "EUR 1,234.56 to Café Rose: code 1")
        #expect(
            template.render(code: "1", minutes: 5, payment: payment, locale: "en-ZA", client: .none) == "EUR 1 234,56 to Café Rose: code 1",
            "the region's way, where the language is the text's")
        #expect(
            template.render(code: "1", minutes: 5, payment: payment, locale: "de-DE", client: .none) == "EUR 1,234.56 to Café Rose: code 1")
    }

    /// A payee costs what it may cost: 24 septets, or UCS-2 for the whole text.
    @Test func worstCaseOfPayments() {
        // EUR 9,999,999.99 has 16, but JPY 999,999,999 has 15 and KWD 999,999.999 has 15.
        // And a unit that a pair of a payee's may leave empty at the border of the parts.
        let words = String(repeating: "a", count: 132 - 16 - 24 - 2 * 10 - 64)
        #expect(Self.refusal("{amount}{payee}x{code}" + words) == nil)
        let refused = Self.refusal("{amount}{payee}x{code}a" + words) ?? ""
        #expect(refused.contains("135 UCS-2 units with client web and a payee outside GSM 03.38"), "\(refused)")
        #expect(refused.contains("payee 24, amount 16, host 60"), "\(refused)")
        #expect(refused.hasSuffix("Shorten the text, payee_length, amount_digits or the hosts."), "a foreign payee isn't the operator's: \(refused)")
    }

    /// Whatever the payee is, and wherever the border of the parts falls in it: two segments.
    @Test func pairsAtTheBorder() throws {
        var maxima = TextMaxima()
        (maxima.host, maxima.code, maxima.payee) = (0, 8, 24)
        let euro = try #require(Currency("EUR"))
        let payment = Payment(
            amount: Amount(minorUnits: 999_999_999, currency: euro),
            payee: try Payee(cleaning: String(repeating: "\u{2070E}", count: 12), maximum: 24, language: "zh"))
        func template(_ before: Int, _ after: Int) -> SMSTemplate? {
            let text = String(repeating: "я", count: before) + "{amount} {payee} x{code}" + String(repeating: "я", count: after)
            return try? SMSTemplate(text, shop: "", maxima: maxima)
        }
        let room = try #require((1...120).last { template($0, 0) != nil })
        #expect(room > 60)
        for before in 0...room {
            let message = try #require(template(before, room - before))
                .render(code: "12345678", minutes: 5, payment: payment, client: .android(appHash: Self.hash))
            let count = SegmentCount(of: message)
            #expect(count.segments <= 2, "\(before): \(count.units)")
        }
    }

    @Test func whatAComplaintNames() {
        let long = String(repeating: "a", count: 160)
        #expect(Self.refusal("{code}" + long, host: 0)?.hasSuffix("It counts: code 10. Shorten the text.") == true)
        #expect(Self.refusal("{shop} {code}" + long, host: 0)?.hasSuffix("It counts: shop name 4, code 10. Shorten the text or the shop's name.") == true)
        let foreign = Self.refusal("{code}" + String(repeating: "я", count: 160), host: 0) ?? ""
        #expect(foreign.hasSuffix("Shorten the text, or keep to GSM 03.38 characters."), "\(foreign)")
    }
}
