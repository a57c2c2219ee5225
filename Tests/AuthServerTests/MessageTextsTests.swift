import Engine
import SMSText
import Testing

@testable import AuthServer

/// The worst case is that of the tenant's own name and the purpose's own codes.
@Suite struct MessageTextsTests {
    private func add(
        _ shop: String, codeLength: UInt8 = 6, text: String = MessageTexts.standard
    ) throws(TemplateError) {
        var texts = MessageTexts()
        var purpose = PurposePolicy.login
        purpose.codeLength = codeLength
        try texts.add(
            text, tenant: TenantPolicy(number: 1, name: "one", shop: shop), purpose: purpose)
    }

    @Test func aNameThatFitsIsTaken() throws {
        try add("Example Shop")
        // Not in GSM 03.38: two segments of UCS-2 are allowed, which leaves 64 characters beside the longest last line.
        try add("Магазин", text: "{code}: ваш код для {shop}. Никому его не говорите.")
        #expect(throws: TemplateError.self) { try add("Магазин") }
    }

    @Test func aNameThatIsTooLongIsRefusedAtLoad() {
        #expect(throws: TemplateError.self) { try add(String(repeating: "x", count: 60)) }
        #expect(throws: TemplateError.self) { try add(String(repeating: "щ", count: 40)) }
    }

    /// Each character of a code counts twice: in the text, and in the last line.
    @Test func longerCodesLeaveLessRoom() throws {
        var longest = 0
        while (try? add(String(repeating: "x", count: longest + 1))) != nil { longest += 1 }
        #expect(longest > 16)
        try add(String(repeating: "x", count: longest - 8), codeLength: 10)
        #expect(throws: TemplateError.self) { try add(String(repeating: "x", count: longest - 7), codeLength: 10) }
    }
}
