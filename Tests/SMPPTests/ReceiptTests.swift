import SMPP
import Testing

@Suite struct ReceiptTests {
    static func deliver(_ text: String, _ optional: [OptionalParameter] = [], esmClass: UInt8 = 0x04)
        -> ShortMessage
    {
        var message = ShortMessage()
        message.esmClass = esmClass
        message.text = Array(text.utf8)
        message.optional = optional
        return message
    }

    static func tagged(_ id: String, _ state: UInt8) -> [OptionalParameter] {
        [
            OptionalParameter(tag: 0x001E, value: Array(id.utf8) + [0]),
            OptionalParameter(tag: 0x0427, value: [state]),
        ]
    }

    static let usual =
        "id:0000002a sub:001 dlvrd:001 submit date:2611250300 done date:2611250300 stat:DELIVRD err:000 text:Your code is"

    @Test func theUsualText() throws {
        let receipt = try #require(DeliveryReceipt(ReceiptTests.deliver(ReceiptTests.usual)))
        #expect(receipt.textID == Array("0000002a".utf8) && receipt.taggedID == nil)
        #expect(receipt.state == .delivered && receipt.error == Array("000".utf8))
    }

    @Test(
        arguments: zip(
            [
                "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD",
                "delivrd",
            ],
            [
                .enroute, .delivered, .expired, .deleted, .undeliverable, .accepted, .unknown, .rejected,
                .delivered,
            ]
                as [MessageState]))
    func words(_ word: String, _ state: MessageState) {
        #expect(DeliveryReceipt(ReceiptTests.deliver("id:7 stat:\(word)"))?.state == state)
    }

    @Test func tagsComeFirst() throws {
        let message = ReceiptTests.deliver("id:77 stat:UNDELIV err:12", ReceiptTests.tagged("4D", 2))
        let receipt = try #require(DeliveryReceipt(message))
        #expect(receipt.taggedID == Array("4D".utf8) && receipt.textID == Array("77".utf8))
        #expect(receipt.state == .delivered)
        #expect(
            DeliveryReceipt(ReceiptTests.deliver("", ReceiptTests.tagged("4D", 5)))?.state == .undeliverable)
        // A state of no meaning: the text's word.
        #expect(
            DeliveryReceipt(ReceiptTests.deliver("stat:EXPIRED", ReceiptTests.tagged("4D", 99)))?.state
                == .expired)
    }

    @Test func theTextMayStandInThePayload() {
        let payload = [OptionalParameter(tag: 0x0424, value: Array("id:9 stat:REJECTD".utf8))]
        #expect(DeliveryReceipt(ReceiptTests.deliver("", payload))?.state == .rejected)
    }

    /// A message of a shopper, an echo of a text that looks like a receipt, and receipts that say nothing.
    @Test func otherDeliveriesAreNone() {
        #expect(DeliveryReceipt(ReceiptTests.deliver(ReceiptTests.usual, esmClass: 0)) == nil)
        #expect(DeliveryReceipt(ReceiptTests.deliver("text:id:1 stat:DELIVRD")) == nil)
        #expect(DeliveryReceipt(ReceiptTests.deliver("id:1 text: stat:DELIVRD")) == nil)
        #expect(DeliveryReceipt(ReceiptTests.deliver("id:1 stat:PERHAPS")) == nil)
        #expect(DeliveryReceipt(ReceiptTests.deliver("id: stat:DELIVRD")) == nil)
        #expect(
            DeliveryReceipt(ReceiptTests.deliver("id:\(String(repeating: "1", count: 65)) stat:DELIVRD"))
                == nil)
        #expect(DeliveryReceipt(ReceiptTests.deliver("")) == nil)
    }

    @Test func onlyFinalStatesSayWhatBecameOfIt() {
        #expect(
            MessageState.allCases.map(\.isDelivered) == [nil, true, false, false, false, true, nil, false])
    }
}
