import Testing
import Wire

@testable import Engine

/// Receipts by the gateway's own name for a message, and the one fail-over that a failed receipt brings.
@Suite struct ReceiptTests {
    static func submitted(_ world: World, _ id: Bytes16, _ reference: String, hasOther: Bool = false) throws
        -> MessagePush
    {
        let result = world.lease(id)
        let push = try #require(result.draft, "\(result.text)").push
        var m = ReportMessage()
        m.challenge = id
        m.send = push.send
        m.token = push.token
        m.outcome = ReportMessage.Outcome.submitted.rawValue
        m.gateway = InlineBytes("smpp")
        m.reference = InlineBytes(reference)
        m.hasOther = hasOther ? 1 : nil
        #expect(world.send(.report(m)).text == "done")
        return push
    }

    static func receipt(
        _ world: World, _ reference: String, _ outcome: ReportMessage.Outcome, gateway: String = "smpp"
    ) -> String {
        var m = ReportReceipt()
        m.gateway = InlineBytes(gateway)
        m.reference = InlineBytes(reference)
        m.outcome = outcome.rawValue
        return world.send(.receipt(m)).text
    }

    func delivery(_ world: World, _ id: Bytes16) -> StatusRequest.Delivery? {
        world.status(id).statusReply.flatMap { StatusRequest.Delivery(rawValue: $0.delivery) }
    }

    @Test(
        arguments: [(.delivered, .delivered), (.undelivered, .failed)]
            as [(ReportMessage.Outcome, StatusRequest.Delivery)])
    func byReference(_ outcome: ReportMessage.Outcome, _ expected: StatusRequest.Delivery) throws {
        let world = World()
        let id = try world.open()
        _ = try Self.submitted(world, id, "a1")
        #expect(Self.receipt(world, "a2", outcome) == "referenceUnknown")
        #expect(Self.receipt(world, "a1", outcome, gateway: "other") == "referenceUnknown")
        #expect(delivery(world, id) == .submitted)
        #expect(Self.receipt(world, "a1", outcome) == "done")
        #expect(delivery(world, id) == expected)
        let rows = world.state.rows
        #expect(Self.receipt(world, "a1", outcome) == "done")
        #expect(world.state.rows == rows, "said twice")
    }

    @Test func onlyFinalOutcomes() throws {
        let world = World()
        _ = try Self.submitted(world, try world.open(), "a1")
        for outcome in ReportMessage.Outcome.allCases where outcome != .delivered && outcome != .undelivered {
            #expect(Self.receipt(world, "a1", outcome) == "unsupportedField")
        }
    }

    /// Another gateway gets the message once; then a failure is one. The first gateway's late words change nothing but a success.
    @Test func oneFailOver() throws {
        let world = World()
        let id = try world.open()
        _ = try Self.submitted(world, id, "a1", hasOther: true)
        #expect(Self.receipt(world, "a1", .undelivered) == "done")
        #expect(delivery(world, id) == .submitted, "never back")
        let second = try Self.submitted(world, id, "b1", hasOther: true)
        #expect(second.lastGateway.text == "smpp")
        #expect(second.attempt == 2)
        #expect(Self.receipt(world, "a1", .undelivered) == "done")
        #expect(delivery(world, id) == .submitted, "of an older lease")
        #expect(Self.receipt(world, "b1", .undelivered) == "done")
        #expect(delivery(world, id) == .failed)
        #expect(Self.receipt(world, "a1", .delivered) == "done")
        #expect(delivery(world, id) == .delivered)
    }

    /// A report that was said again after a fail-over takes the message off nobody's hands.
    @Test func anOldReportAfterTheFailOver() throws {
        let world = World()
        let id = try world.open()
        let first = try Self.submitted(world, id, "a1", hasOther: true)
        #expect(Self.receipt(world, "a1", .undelivered) == "done")
        #expect(world.report(id, first.token, .submitted).text == "done")
        #expect(world.lease(id).draft != nil)
    }

    @Test func withoutAnotherGatewayItHasFailed() throws {
        let world = World()
        let id = try world.open()
        _ = try Self.submitted(world, id, "a1")
        #expect(Self.receipt(world, "a1", .undelivered) == "done")
        #expect(world.lease(id).text == "gone")
    }

    /// What a gateway echoes of codes and numbers isn't kept.
    @Test(arguments: [
        ("no", "no"), ("error 123", "error 123"),
        ("number +33612345678 is bad", "number +########### is bad"),
        ("483920", "######"), ("code 0483 920", "code #### ###"), ("", ""),
        ("4-8-3-9-2-0", "#-#-#-#-#-#"), ("(48) 39.20!", "(##) ##.##!"), ("a 12 b 34 c", "a 12 b 34 c"),
        ("0x0000000B ESME_RINVDSTADR", "0x#######B ESME_RINVDSTADR"), ("48\u{A0}3920", "##\u{A0}####"),
    ]) func reasons(_ said: String, _ kept: String) {
        #expect(ReasonMask.withoutNumbers(InlineBytes(said)).text == kept)
    }

    /// Codes with letters: the code, split or not, in small letters or not, and words of its form.
    @Test(arguments: [
        ("KXHQTZ is wrong", "###### is wrong"), ("text: kxhqtz", "text: ######"), ("K X-H Q.T Z", "# #-# #.# #"),
        ("7KQ2XM too", "###### too"), ("unknown subscriber", "unknown subscriber"), ("REASON5", "REASON5"), ("xKXHQTZx", "x######x"),
    ]) func codesWithLetters(_ said: String, _ kept: String) {
        let code = CodeBytes("KXHQTZ")
        #expect(ReasonMask.withoutCode(InlineBytes(said), code, .lettersAndDigits).text == kept)
        #expect(ReasonMask.withoutCode(InlineBytes(said), code, .digits).text == said)
    }
}
