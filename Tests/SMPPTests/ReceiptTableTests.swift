import SMPP
import Testing

@Suite struct ReceiptTableTests {
    private func receipt(_ text: String, _ tags: [OptionalParameter] = []) throws -> DeliveryReceipt {
        try #require(DeliveryReceipt(ReceiptTests.deliver(text, tags)))
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func usualThenRepeated() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        #expect(table.accepted(id: bytes("abc"), handle: 7, nowMs: 0) == nil)
        #expect(table.receipt(try receipt("id:abc stat:ENROUTE"), nowMs: 1) == 7)
        #expect(table.receipt(try receipt("id:other stat:DELIVRD"), nowMs: 1) == nil)
        #expect(table.receipt(try receipt("id:abc stat:DELIVRD"), nowMs: 2) == 7)
        #expect(
            table.receipt(try receipt("id:abc stat:UNDELIV"), nowMs: 3) == nil, "states move forward only")
    }

    @Test func beforeTheAnswer() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        let early = try receipt("id:abc stat:UNDELIV")
        #expect(table.receipt(early, nowMs: 0) == nil)
        #expect(table.accepted(id: bytes("abc"), handle: 7, nowMs: 100) == early)
        #expect(table.receipt(early, nowMs: 200) == nil)
        // Too early to be about this message.
        #expect(table.receipt(try receipt("id:def stat:DELIVRD"), nowMs: 200) == nil)
        #expect(table.accepted(id: bytes("def"), handle: 8, nowMs: 30_201) == nil)
    }

    @Test func hexadecimalAndDecimal() throws {
        var table = ReceiptTable(responseIDs: .hexadecimal, receiptIDs: .decimal)
        _ = table.accepted(id: bytes("0000002A"), handle: 1, nowMs: 0)
        _ = table.accepted(id: bytes("4d"), handle: 2, nowMs: 0)
        _ = table.accepted(id: bytes("uuid-1"), handle: 3, nowMs: 0)
        #expect(table.receipt(try receipt("id:0000000042 stat:DELIVRD"), nowMs: 0) == 1)
        #expect(table.receipt(try receipt("id:1 stat:DELIVRD", ReceiptTests.tagged("4D", 2)), nowMs: 0) == 2)
        #expect(table.receipt(try receipt("id:uuid-1 stat:DELIVRD"), nowMs: 0) == 3)
        var decimal = ReceiptTable(responseIDs: .decimal, receiptIDs: .hexadecimal)
        _ = decimal.accepted(id: bytes("77"), handle: 4, nowMs: 0)
        #expect(decimal.receipt(try receipt("id:+4D stat:DELIVRD"), nowMs: 0) == nil)
        #expect(decimal.receipt(try receipt("id:4D stat:DELIVRD"), nowMs: 0) == 4)
    }

    @Test func bounded() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        for number in 0..<70_000 as Range<UInt64> {
            _ = table.accepted(id: bytes("\(number)"), handle: number, nowMs: number / 100)
        }
        #expect(table.count == 65_536)
        #expect(table.takeForgotten() == Array(0..<4_464))
        #expect(table.receipt(try receipt("id:1 stat:DELIVRD"), nowMs: 700) == nil, "the oldest went first")
        #expect(table.receipt(try receipt("id:69999 stat:DELIVRD"), nowMs: 700) == 69_999)
        _ = table.accepted(id: bytes("new"), handle: 1, nowMs: 900_700)
        #expect(table.count == 1)
    }

    /// A message whose age was looked at and found settled takes no living one with it.
    @Test func oldAgesTakeNoLivingMessage() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        _ = table.accepted(id: bytes("old"), handle: 1, nowMs: 0)
        #expect(table.receipt(try receipt("id:old stat:DELIVRD"), nowMs: 1) == 1)
        _ = table.accepted(id: bytes("young"), handle: 2, nowMs: 899_999)
        #expect(table.receipt(try receipt("id:none stat:ENROUTE"), nowMs: 900_000) == nil)
        #expect(table.takeForgotten() == [])
        #expect(table.receipt(try receipt("id:young stat:DELIVRD"), nowMs: 900_001) == 2)
    }

    /// The text's id says whose receipt it is; the tag, in the other form, is another message's.
    @Test func theTextsIdFirst() throws {
        var table = ReceiptTable(responseIDs: .hexadecimal, receiptIDs: .decimal)
        _ = table.accepted(id: bytes("10"), handle: 1, nowMs: 0)
        _ = table.accepted(id: bytes("16"), handle: 2, nowMs: 0)
        #expect(table.receipt(try receipt("id:16 stat:DELIVRD", ReceiptTests.tagged("16", 2)), nowMs: 0) == 1)
    }

    /// An id given again is the new message's; the former one is told of, so that nothing of it stays.
    @Test func anIdGivenAgain() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        _ = table.accepted(id: bytes("a"), handle: 1, nowMs: 0)
        _ = table.accepted(id: bytes("a"), handle: 2, nowMs: 1)
        #expect(table.takeForgotten() == [1])
        #expect(table.receipt(try receipt("id:a stat:DELIVRD"), nowMs: 2) == 2)
        #expect(table.receipt(try receipt("id:a stat:DELIVRD"), nowMs: 3) == nil, "repeated")
        #expect(table.isSettled(try receipt("id:a stat:DELIVRD")))
        #expect(table.accepted(id: bytes("a"), handle: 3, nowMs: 4) == nil, "and it settles no later message")
    }

    /// Millions of settled messages leave no ages behind.
    @Test func agesAreBounded() throws {
        var table = ReceiptTable(responseIDs: .text, receiptIDs: .text)
        let done = try receipt("id:x stat:DELIVRD")
        for number in 0..<300_000 as Range<UInt64> {
            _ = table.accepted(id: bytes("x"), handle: number, nowMs: number / 1_000)
            #expect(table.receipt(done, nowMs: number / 1_000) == number)
        }
        #expect(table.agesKept <= 2 * 65_536 + 1 && table.count == 0)
    }

    @Test func delaysDoubleWithJitter() {
        var delay = ReconnectDelay()
        #expect(delay.next(random: 0) == 250)
        #expect(delay.next(random: 500) == 1_000)
        for _ in 0..<10 { _ = delay.next(random: 3) }
        #expect(delay.next(random: 15_000) == 30_000)
        delay.reset()
        #expect(delay.next(random: 250) == 500)
    }
}
