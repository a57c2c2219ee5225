import Foundation
import Testing

/// `otpctl template preview`: the SMS as the server would send it, without a server.
@Suite struct TemplatePreviewTests {
    static let config = """
        data = "/var/lib/otpd/data"
        master_key = "/etc/otpd/master.key"
        issuer = "shop.example"
        [[tenant]]
        number = 7
        name = "fleur"
        shop = "Fleur & Söhne"
        locale = "de"
        hosts = ["fleur.example"]
        payee_length = 12
        [[tenant.purpose]]
        number = 1
        name = "login"
        text = "{shop}: {code}"
        [tenant.purpose.texts]
        pl = "{shop}: kod {code}, ważny {minutes} min"
        [[tenant.purpose]]
        number = 9
        name = "pay"
        profile = "psd2-payment"
        life_seconds = 180
        [[listener]]
        path = "/run/otpd/otpd.sock"
        [[peer]]
        uid = 33
        tenant = 7
        roles = ["verify"]
        """

    private func preview(_ arguments: [String], config: String? = nil) throws -> Outcome {
        let folder = try TemporaryFolder()
        var all = ["template", "preview"] + arguments
        if let config { all += ["--config", try folder.write(config, to: "otpd.toml")] }
        return try Program.otpctl.run(all, in: folder)
    }

    @Test func builtInTexts() throws {
        let plain = try preview(["--locale", "fr", "--price", "0.075"])
        #expect(plain.code == 0, "\(plain)")
        #expect(plain.out.hasPrefix("483920 est votre code de connexion Example Shop. Il expire dans 5 min."), "\(plain)")
        #expect(try plain.field("encoding") == "GSM-7")
        #expect(try plain.field("segments") == "1")
        #expect(try plain.field("cost") == "0.075")

        let web = try preview(["--client", "web", "--host", "shop.example", "--code", "123456", "--json"])
        let object = try #require(try web.objects().first)
        let text = "123456 is your Example Shop sign-in code. It expires in 5 min. Never share it.\n@shop.example #123456"
        #expect(object["text"] as? String == text)
        #expect(object["septets"] as? Int == text.utf8.count)

        let hindi = try preview(["--locale", "hi-IN", "--client", "android", "--app-hash", "FA+9qCX9VSu", "--price", "0.1"])
        #expect(try hindi.field("encoding") == "UCS-2")
        #expect(try hindi.field("language") == "hi")
        #expect(try hindi.field("segments") == "2")
        #expect(try hindi.field("of") == "134")
        #expect(try hindi.field("cost") == "0.2")
        #expect(hindi.out.contains("\nFA+9qCX9VSu\n"))
    }

    @Test func payments() throws {
        let money = ["--purpose", "payment", "--amount", "1234.5", "--currency", "EUR", "--payee", "Café\u{202E} Rose.com"]
        let english = try preview(money)
        #expect(english.out.hasPrefix("Pay EUR 1,234.50 to Café Rose com: code 48392017"), "\(english)")
        #expect(try preview(money + ["--locale", "de"]).out.hasPrefix("1.234,50 EUR an Café Rose com zahlen: Code 48392017, gilt 5 Min."))
        let dinar = ["--purpose", "payment", "--amount", "1.005", "--currency", "KWD", "--payee", "Fleur", "--locale", "ar-KW"]
        #expect(try preview(dinar).out.contains("1.005 KWD"))
        #expect(try preview(["--purpose", "payment"]).out.hasPrefix("48392017 is your Example Shop code."), "as requests are today")
    }

    @Test func aFilesOwnTexts() throws {
        let login = try preview(["--client", "web", "--host", "fleur.example"], config: Self.config)
        #expect(login.out.hasPrefix("Fleur & Söhne: 483920\n@fleur.example #483920\n"), "\(login)")
        #expect(try login.field("language") == "de")
        let polish = try preview(["--locale", "pl-PL"], config: Self.config)
        #expect(polish.out.hasPrefix("Fleur & Söhne: kod 483920, ważny 5 min\n"), "\(polish)")
        #expect(try polish.field("encoding") == "UCS-2")
        let pay = try preview(
            ["--purpose", "9", "--amount", "5", "--currency", "JPY", "--payee", "Gartenbau Müller"], config: Self.config)
        #expect(pay.out.hasPrefix("5 JPY an Gartenbau... zahlen: Code 48392017, gilt 3 Min. Nie weitergeben.\n"), "\(pay)")
        #expect(try pay.field("payee") == "Gartenbau...")
    }

    @Test(arguments: [
        (["--purpose", "lunch"], "it has login (1), payment (2)"), (["--host", "x"], "--client is"), (["--client", "web"], "--client is"),
        (["--client", "web", "--host", "evil.example"], "isn't in the tenant's `hosts`"),
        (
            ["--client", "android", "--app-hash", "AAAAAAAAAAA"],
            "isn't in the tenant's `android_hashes` (it has FA+9qCX9VSu)"
        ),
        (["--code", "12345"], "6 letters or digits"),
        (["--code", "12345é"], "6 letters or digits"), (["--amount", "5"], "all of --amount, --currency and --payee"),
        (["--amount", "5", "--currency", "EUR", "--payee", "x"], "isn't a payment"),
        (["--purpose", "payment", "--amount", "5.001", "--currency", "EUR", "--payee", "x"], "at most 2 digits"),
        (["--purpose", "payment", "--amount", "-5", "--currency", "EUR", "--payee", "x"], "amount"),
        (["--purpose", "payment", "--amount", "5", "--currency", "EURO", "--payee", "x"], "ISO 4217 has no `EURO`"),
        (["--purpose", "payment", "--amount", "12345678", "--currency", "EUR", "--payee", "x"], "`amount_digits` admits 9"),
        (["--purpose", "payment", "--amount", "5", "--currency", "EUR", "--payee", "pаypal"], "mixes scripts"),
        (["--purpose", "payment", "--amount", "5", "--currency", "EUR", "--payee", "СОСА", "--locale", "ru"], "reads as a Latin word"),
        (["--purpose", "payment", "--amount", "5", "--currency", "EUR", "--payee", "Call 030123456"], "at most four digits"),
        (["--price", "1,5"], "--price"), (["--config", "/nonexistent.toml"], "No such file"), (["--client", "android", "--app-hash", "x"], "11 characters"),
    ])
    func wrongUsage(_ arguments: [String], _ why: String) throws {
        let outcome = try preview(arguments)
        #expect(outcome.code == 2 && outcome.out.isEmpty, "\(outcome)")
        #expect(outcome.err.contains(why), "\(outcome)")
    }

    /// A file that otpd would refuse is refused here too, with the same words.
    @Test func aTextThatIsTooLong() throws {
        let long = Self.config.replacingOccurrences(of: "{shop}: {code}\"", with: "{code} " + String(repeating: "a", count: 150) + "\"")
        let outcome = try preview([], config: long)
        #expect(outcome.code == 2)
        #expect(outcome.err.contains("purpose `login`, locale de: it can take 180 septets with client web, which is 2 segments"), "\(outcome)")
    }
}
