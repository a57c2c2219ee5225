@testable import SMSText
import Testing

/// Amounts as ICU writes them, and ISO 4217's digits.
@Suite struct AmountTests {
    @Test func asICUWrites() throws {
        let lines = try VectorTests.lines("amounts.txt")
        #expect(lines.count > 3_000)
        for line in lines {
            let currency = try #require(Currency(String(line[1])))
            let amount = Amount(minorUnits: try #require(UInt64(line[2])), currency: currency)
            #expect(AmountStyle(locale: String(line[0])).string(amount) == line.dropFirst(3).joined(separator: " "), "\(line)")
        }
    }

    @Test func digitsOfISO4217() {
        for (code, digits) in [("JPY", 0), ("KRW", 0), ("CLP", 0), ("EUR", 2), ("HUF", 2), ("IQD", 3), ("KWD", 3), ("CLF", 4), ("UYW", 4)] {
            #expect(Currency(code)?.digits == digits, "\(code)")
        }
        for code in ["", "eur", "EURO", "XAU", "XXX", "DEM", "E R", "€", "DK\u{212A}"] { #expect(Currency(code) == nil, "\(code)") }
    }

    @Test func edges() throws {
        let (yen, euro) = (try #require(Currency("JPY")), try #require(Currency("EUR")))
        #expect(AmountStyle(locale: "").string(Amount(minorUnits: .max, currency: yen)) == "JPY 18,446,744,073,709,551,615")
        #expect(AmountStyle(locale: "hi").string(Amount(minorUnits: .max, currency: euro)) == "EUR 1,84,46,74,40,73,70,95,516.15")
        #expect(AmountStyle(locale: "tlh").string(Amount(minorUnits: 5, currency: euro)) == "EUR 0.05", "an unknown language: the root's")
        #expect(AmountStyle(locale: "de_ch") == AmountStyle(locale: "de-CH"))
        #expect(AmountStyle(locale: "de-CH-1996-u-nu-latn") == AmountStyle(locale: "de-CH"))
        #expect(AmountStyle(locale: "de-CH") != AmountStyle(locale: "de"))
        for tag in ["DE", "De-AT", "de_CH"] { #expect(AmountStyle.all(of: tag).count == AmountStyle.all(of: "de").count, "\(tag)") }
    }

    /// The texts of the languages that GSM 03.38 has letters for stay in it whatever the amount.
    @Test(arguments: ["en", "de", "fr", "es", "it", "pt", "pt-PT", "pl", "tr", "de-CH", "fr-CA", "en-ZA"])
    func amountsAreInTheAlphabet(_ locale: String) {
        for currency in Currency.samples {
            let text = AmountStyle(locale: locale).string(Amount(minorUnits: 123_456_789_012, currency: currency))
            #expect(GSM0338.septets(of: text) == text.unicodeScalars.count, "\(text)")
        }
    }
}
