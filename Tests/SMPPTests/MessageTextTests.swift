import SMPP
import SMSText
import Testing

@Suite struct MessageTextTests {
    private func text(_ text: String, _ alphabet: MessageText.Alphabet = .gsm, _ coding: UInt8? = nil) throws
        -> MessageText
    {
        try #require(MessageText(text, alphabet: alphabet, dataCoding: coding, reference: 0xAB))
    }

    @Test func gsmTravelsUnpacked() throws {
        let made = try text("@ €{é 12")
        #expect(made.dataCoding == 0 && !made.hasHeader)
        #expect(made.parts == [[0x00, 0x20, 0x1B, 0x65, 0x1B, 0x28, 0x05, 0x20, 0x31, 0x32]])
    }

    @Test func ucs2IsBigEndianUTF16() throws {
        let made = try text("ş😀")
        #expect(made.dataCoding == 8)
        #expect(made.parts == [[0x01, 0x5F, 0xD8, 0x3D, 0xDE, 0x00]])
    }

    @Test func latin1AndASCII() throws {
        #expect(try text("Für @", .latin1) == text("Für @", .latin1, 3))
        #expect(try text("Für", .latin1).parts == [[0x46, 0xFC, 0x72]])
        #expect(try text("Für", .latin1, 0).dataCoding == 0)
        #expect(try text("Δ", .latin1).dataCoding == 8, "not in the route's alphabet")
        #expect(try text("Für", .ascii).dataCoding == 8)
        #expect(try text("For", .ascii).dataCoding == 1)
    }

    /// As many parts as `SMSText` bills for, each within 140 octets of the air; none begins or ends within a character.
    @Test(arguments: [
        String(repeating: "a", count: 160), String(repeating: "a", count: 161),
        String(repeating: "a", count: 152) + "€€€€€€€€€",
        String(repeating: "ş", count: 70), String(repeating: "ş", count: 71),
        String(repeating: "😀", count: 40),
    ])
    func partsAsBilled(_ body: String) throws {
        let made = try text(body)
        #expect(made.parts.count == SegmentCount(of: body).segments)
        #expect(made.hasHeader == (made.parts.count > 1))
        guard made.hasHeader else { return }
        var joined: [UInt8] = []
        for (index, part) in made.parts.enumerated() {
            #expect(part.prefix(6) == [5, 0, 3, 0xAB, UInt8(made.parts.count), UInt8(index + 1)])
            #expect(part.count <= (made.dataCoding == 8 ? 140 : 159))
            let content = Array(part.dropFirst(6))
            #expect(content.last != 0x1B)
            joined += content
        }
        if made.dataCoding == 0 { #expect(GSM0338.decode(joined) == body) }
    }

    @Test func aBookIsRefused() {
        #expect(MessageText(String(repeating: "a", count: 2_000), alphabet: .gsm, reference: 1) == nil)
    }

    @Test(
        arguments: zip(
            [0, 1, 59, 180, 3_600, 86_400 + 61, 400 * 86_400] as [UInt64],
            [
                "000000000001000R", "000000000001000R", "000000000059000R", "000000000300000R",
                "000000010000000R",
                "000001000101000R", "000098235959000R",
            ]))
    func validityIsRelative(_ seconds: UInt64, _ text: String) {
        #expect(String(decoding: ValidityPeriod.relative(seconds: seconds), as: UTF8.self) == text)
    }

    @Test func statusesAreClassed() {
        func meaning(_ number: UInt32) -> CommandStatus.Meaning { CommandStatus(rawValue: number).meaning() }
        #expect([0x58, 0x14].map(meaning) == [.throttle, .throttle])
        #expect([0x08, 0x45, 0x64, 0x401].map(meaning).allSatisfy { $0 == .transient })
        #expect([0x0B, 0x50, 0x51].map(meaning).allSatisfy { $0 == .permanentNumber })
        let route: [UInt32] = [0x0A, 0x0D, 0x0E, 0x0F, 0x48, 0x49, 0x53, 0x61, 0x62, 0x65, 0xC0, 0xC4]
        #expect(route.map(meaning).allSatisfy { $0 == .permanentRoute })
        #expect(CommandStatus(rawValue: 0x417).meaning(vendor: [0x417: .permanentNumber]) == .permanentNumber)
        #expect("\(CommandStatus.throttled)" == "ESME_RTHROTTLED (0x00000058)")
        #expect("\(CommandStatus(rawValue: 0x417))" == "0x00000417")
    }
}
