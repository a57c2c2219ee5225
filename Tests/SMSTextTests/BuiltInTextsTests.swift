import Foundation
@testable import SMSText
import Testing

/// The wordings that ship.
@Suite struct BuiltInTextsTests {
    static let gsm = ["en", "de", "fr", "es", "it", "pt", "pt-PT", "pl", "tr"]

    static func maxima(host: Int) -> TextMaxima {
        var maxima = TextMaxima()
        maxima.code = 8
        maxima.host = host
        return maxima
    }

    /// Every form, in a shop with a name of 16 and a host of 24: where the alphabet has the letters, one segment.
    @Test(arguments: BuiltInTexts.locales) func costs(_ locale: String) throws {
        for kind in TextKind.allCases {
            let forms = BuiltInTexts.forms(kind, locale)
            #expect(forms.count == (kind == .payment ? 3 : 2), "\(kind)")
            for (index, form) in forms.enumerated() {
                let template = try SMSTemplate(unmeasured: form, locale: locale, shop: "Example Shop Ltd")
                #expect(template.isPayment == (kind == .payment))
                let worst = template.worst(Self.maxima(host: 24))
                if index == forms.count - 1 { #expect(worst.allSatisfy { !$0.isTooLong }, "\(worst)") }
                let plain = worst.filter { !$0.isPayeeForeign }
                #expect(plain.allSatisfy { $0.count.encoding == (Self.gsm.contains(locale) ? .gsm7 : .ucs2) }, "\(form)")
                if index > 0 { #expect(form.utf16.count < forms[index - 1].utf16.count) }
            }
        }
    }

    /// With the longest host that the protocol has, log-ins still fit in full, and payments in their shortest form.
    @Test func roomForTheLongestHost() throws {
        for kind in TextKind.allCases {
            let set = try TextSet(kind, locale: "en", shop: "Example Shop", maxima: Self.maxima(host: kind == .payment ? 40 : 60))
            for locale in BuiltInTexts.locales { #expect(set.template(for: locale).locale == locale) }
        }
    }

    /// The code stands among the first words, or, in payments, right after amount and payee.
    @Test(arguments: BuiltInTexts.locales) func theCodeIsEarly(_ locale: String) throws {
        for kind in TextKind.allCases {
            for form in BuiltInTexts.forms(kind, locale) {
                let before = form.prefix(upTo: try #require(form.range(of: "{code}")).lowerBound)
                #expect(before.replacing("{amount}", with: "").replacing("{payee}", with: "").count <= 35, "\(form)")
            }
        }
    }

    /// A telephone lays a line out by its first letter.
    @Test func arabicBeginsInArabic() throws {
        for kind in TextKind.allCases {
            for form in BuiltInTexts.forms(kind, "ar") {
                let first = try #require(form.unicodeScalars.first { $0.properties.isAlphabetic })
                #expect((0x600...0x6FF).contains(first.value), "\(form)")
            }
        }
    }

    /// One minute is left near a code's end: what stands beside the number goes with one, too.
    @Test(arguments: BuiltInTexts.locales) func oneMinute(_ locale: String) {
        let plurals = ["minutes", "Minuten", "minutos", "minuti", "minuty", "minut ", "dakikalar", "دقائق"]
        for kind in TextKind.allCases {
            for form in BuiltInTexts.forms(kind, locale) {
                let words = form.replacing("{minutes}", with: "1")
                #expect(words != form && !plurals.contains { words.contains($0) }, "\(form)")
            }
        }
    }

    @Test(arguments: [
        ("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("pt-BR", "pt"), ("pt-PT", "pt-PT"), ("pt-PT-x-y", "pt-PT"), ("zh-TW", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"), ("zh-CN", "zh"), ("", "fr"), ("nl", "fr"), ("x", "fr"), ("deu", "fr"), ("-", "fr"), ("d", "fr"),
    ])
    func fallBack(_ asked: String, _ given: String) throws {
        let set = try TextSet(.login, locale: "fr-CA", shop: "Fleur", maxima: TextMaxima())
        #expect(set.template(for: asked).locale == given)
    }

    @Test func aTenantWithoutAKnownLanguageGetsEnglish() throws {
        #expect(try TextSet(.code, locale: "nl", shop: "Fleur", maxima: TextMaxima()).template(for: "sv").locale == "en")
    }

    @Test func ownTexts() throws {
        let own = ["nl": "{code} is je code", "de": "{code}!"]
        let set = try TextSet(.code, own: own, ownDefault: "{code}?", locale: "nl", shop: "Fleur", maxima: TextMaxima())
        func text(_ locale: String) -> String { set.template(for: locale).render(code: "1", minutes: 5, client: .none) }
        #expect(text("nl-BE") == "1 is je code")
        #expect(text("de") == "1!")
        #expect(text("fr") == "1 is je code", "the tenant's language before the default")
        let plain = try TextSet(.code, own: ["de": "{code}!"], ownDefault: "{code}?", locale: "nl", shop: "Fleur", maxima: TextMaxima())
        #expect(plain.template(for: "fr").render(code: "1", minutes: 5, client: .none) == "1?")
    }

    @Test(arguments: [
        (["de": "{code}"], "nl", "no text for the tenant's locale `nl`"), (["d e": "{code}"], "nl", "isn't a language tag"),
        (["de": "{amount} {payee} x {code}"], "de", "only a payment's text"), (["de": "code"], "de", "locale de: the place {code}"),
    ])
    func ownTextsThatCantBe(_ own: [String: String], _ locale: String, _ why: String) {
        #expect { try TextSet(.code, own: own, locale: locale, shop: "Fleur", maxima: TextMaxima()) } throws: { error in
            (error as? TemplateError)?.description.contains(why) ?? false
        }
    }

    /// Refused at load, with what to shorten.
    @Test func aShopThatIsTooLong() {
        let shop = String(repeating: "x", count: 70)
        #expect { try TextSet(.payment, locale: "en", shop: shop, maxima: BuiltInTextsTests.maxima(host: 60)) } throws: { error in
            let text = (error as? TemplateError)?.description ?? ""
            return text.hasPrefix("the built-in payment text in ") && text.contains("host 60") && text.contains("are allowed")
        }
    }
}
