import SMPP
import Testing

/// What a peer may not make us read, and what we may not send.
@Suite struct PDUBoundsTests {
    @Test(arguments: [0, 15, 65_537, 0xFFFF_FFFF] as [UInt32])
    func anImpossibleLengthEndsTheStream(_ length: UInt32) {
        var stream = PDUStream()
        stream.append((0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + [0, 0, 0, 0x15])
        #expect(throws: PDUError.badLength(length)) { try stream.next() }
    }

    @Test func theLargestPDUIsRead() throws {
        var message = ShortMessage()
        // 16 of the header, 17 of the fixed fields, 4 of the tag: a receipt with the largest payload.
        message.optional = [OptionalParameter(tag: 0x0424, value: [UInt8](repeating: 7, count: 65_536 - 37))]
        let bytes = try PDU(.deliverSM, sequence: 1, body: .message(message)).encoded()
        #expect(bytes.count == 65_536)
        var stream = PDUStream()
        stream.append(bytes)
        #expect(try stream.next()?.body == .message(message))
        message.optional[0].value.append(7)
        #expect(throws: PDUError.fieldTooLong("PDU")) {
            try PDU(.deliverSM, sequence: 1, body: .message(message)).encoded()
        }
    }

    @Test func anUnknownCommandIsTold() throws {
        var stream = PDUStream()
        stream.append(
            [0, 0, 0, 16, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 5] + (try PDU(.unbind, sequence: 6).encoded()))
        #expect(throws: PDUError.unknownCommand(0x102, sequence: 5)) { try stream.next() }
        #expect(try stream.next() == PDU(.unbind, sequence: 6))
        #expect(try stream.next() == nil)
    }

    @Test func ourOwnFieldsMustFit() {
        var request = BindRequest()
        request.password = Array("nine char".utf8)
        #expect(throws: PDUError.fieldTooLong("password")) {
            try PDU(.bindTransceiver, sequence: 1, body: .bind(request)).encoded()
        }
        request.password = [0x61, 0, 0x62]
        #expect(throws: PDUError.fieldTooLong("password"), "a NUL would end it early") {
            try PDU(.bindTransceiver, sequence: 1, body: .bind(request)).encoded()
        }
        var message = ShortMessage()
        message.text = [UInt8](repeating: 0, count: 255)
        #expect(throws: PDUError.fieldTooLong("short_message")) {
            try PDU(.submitSM, sequence: 1, body: .message(message)).encoded()
        }
    }

    /// Bytes after the last field, where no optional ones may stand.
    @Test func trailingBytesAreRefused() throws {
        var bytes = try PDU(.enquireLink, sequence: 3).encoded() + [0]
        bytes[3] = 17
        #expect(throws: PDUError.badBody(.enquireLink, status: .ok, sequence: 3)) {
            try PDU(decoding: bytes[...])
        }
    }
}
