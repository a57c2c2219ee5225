@testable import Engine
import SMSText
import Testing
import Wire

@testable import AuthServer

/// The worst case is that of the tenant's own name, its hosts and the purpose's own codes.
@Suite struct MessageTextsTests {
    static let text = "{code} is your {shop} code. It expires in {minutes} minutes. Never share it."

    static func rules(host: Int) -> TextRules {
        var rules = TextRules()
        if host > 0 { rules.hosts = [String(repeating: "h", count: host)] }
        return rules
    }

    private func add(
        _ shop: String, codeLength: UInt8 = 6, text: String? = Self.text, host: Int = 60
    ) throws(TemplateError) {
        var texts = MessageTexts()
        var purpose = PurposePolicy.login
        purpose.codeLength = codeLength
        try texts.add(
            MessageTexts.Own(text: text), tenant: TenantPolicy(number: 1, name: "one", shop: shop), purpose: purpose,
            rules: Self.rules(host: host))
    }

    @Test func aNameThatFitsIsTaken() throws {
        try add("Example Shop")
        // Not in GSM 03.38: two segments of UCS-2 are allowed, which leaves 64 characters beside the longest last line.
        try add("Магазин", text: "{code}: ваш код для {shop}. Никому его не говорите.")
        #expect(throws: TemplateError.self) { try add("Магазин") }
        try add("Магазин", host: 40)
    }

    @Test func aNameThatIsTooLongIsRefusedAtLoad() {
        #expect(throws: TemplateError.self) { try add(String(repeating: "x", count: 60)) }
        #expect(throws: TemplateError.self) { try add(String(repeating: "щ", count: 40)) }
        #expect(throws: TemplateError.self) { try add(String(repeating: "x", count: 60), text: nil) }
    }

    /// Each character of a code counts twice: in the text, and in the last line.
    @Test func longerCodesLeaveLessRoom() throws {
        var longest = 0
        while (try? add(String(repeating: "x", count: longest + 1))) != nil { longest += 1 }
        #expect(longest > 16)
        try add(String(repeating: "x", count: longest - 8), codeLength: 10)
        #expect(throws: TemplateError.self) { try add(String(repeating: "x", count: longest - 7), codeLength: 10) }
    }

    private func draft(host: String = "", hash: String = "", locale: String = "", purpose: UInt16 = 1) -> Engine.MessageDraft {
        var push = MessagePush()
        (push.tenant, push.purpose) = (1, purpose)
        return Engine.MessageDraft(
            push: push, code: CodeBytes("483920"), lifeMs: 300_000, webHost: InlineBytes(host), androidHash: InlineBytes(hash),
            locale: InlineBytes(locale))
    }

    /// One last line, for whom the request names, and only a host of the tenant's.
    @Test func theLastLineIsTheClients() throws {
        var texts = MessageTexts()
        var rules = TextRules()
        rules.hosts = ["shop.example", "m.shop.example"]
        rules.androidHashes = ["FA+9qCX9VSu", "AAAAAAAAAA0"]
        let tenant = TenantPolicy(number: 1, name: "one", shop: "Fleur")
        for purpose in tenant.purposes { try texts.add(tenant: tenant, purpose: purpose, rules: rules) }
        var scratch = MessageTexts.Scratch()
        func text(_ draft: Engine.MessageDraft) -> String { texts.render(draft, &scratch).text }
        let english = "483920 is your Fleur sign-in code. It expires in 5 min. Never share it."
        #expect(text(draft()) == english)
        #expect(text(draft(host: "m.shop.example")) == english + "\n@m.shop.example #483920")
        for host in ["evil.example", "shop.example.evil", "xshop.example", "SHOP.example", "shop.exampl"] {
            #expect(text(draft(host: host)) == english, "\(host)")
        }
        for hash in rules.androidHashes { #expect(text(draft(hash: hash)) == english + "\n" + hash) }
        for hash in ["FA+9qCX9VSv", "fa+9qcx9vsu", "FA+9qCX9VS", "evil+++++++"] {
            #expect(text(draft(hash: hash)) == english, "a hostile app would be handed the code: \(hash)")
        }
        #expect(text(draft(host: "shop.example", hash: "FA+9qCX9VSu")) == english + "\n@shop.example #483920")
        #expect(text(draft(locale: "de-AT")).hasPrefix("483920 ist Ihr Anmeldecode für Fleur."))
        #expect(text(draft(locale: "pt-BR", purpose: 2)) == "Use 483920 em Fleur. Expira em 5 min. Nunca compartilhe.")
        #expect(text(draft(locale: "\u{0}\u{FF}")) == english)
    }

    /// The longest messages there can be, of longer codes than the purpose has now: the memory they are written in never moves, and is empty after.
    @Test func theScratchNeverGrowsAndForgets() throws {
        var texts = MessageTexts()
        let host = String(repeating: "h", count: 60)
        let rules = Self.rules(host: 60)
        let own = MessageTexts.Own(text: "{code}" + String(repeating: "中", count: 54) + "{minutes}")
        try texts.add(own, tenant: TenantPolicy(number: 1, name: "one", shop: "x"), purpose: .login, rules: rules)
        var scratch = MessageTexts.Scratch()
        let places = (address(scratch.text), address(scratch.code))
        for code in ["483920", "4839201756", "4839201756123456"] {
            var message = draft(host: host, locale: String(repeating: "a", count: 35))
            message.code = CodeBytes(code)
            #expect(texts.render(message, &scratch).text.hasSuffix("5\n@\(host) #\(code)"))
            #expect(!scratch.text.isEmpty && scratch.text.allSatisfy { $0 == 0 } && scratch.code.allSatisfy { $0 == 0 })
        }
        #expect(places == (address(scratch.text), address(scratch.code)))
    }

    private func address(_ bytes: [UInt8]) -> UInt { bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }

    /// What the preview says is what is sent, to the minute.
    @Test(arguments: [(120_000, "2"), (149_000, "2"), (150_000, "3"), (209_000, "3"), (600_000, "10")] as [(UInt64, String)])
    func minutes(_ lifeMs: UInt64, _ expected: String) throws {
        var texts = MessageTexts()
        let tenant = TenantPolicy(number: 1, name: "one", shop: "x")
        var purpose = PurposePolicy.login
        purpose.lifeMs = lifeMs
        try texts.add(MessageTexts.Own(text: "{minutes}: {code}"), tenant: tenant, purpose: purpose, rules: TextRules())
        var scratch = MessageTexts.Scratch()
        var message = draft()
        message.lifeMs = lifeMs
        #expect(texts.render(message, &scratch).text == expected + ": 483920")
        let preview = texts.preview(tenant: tenant, purpose: purpose, locale: "", code: "483920", payment: nil, client: .none)
        #expect(preview.text == expected + ": 483920")
    }
}
