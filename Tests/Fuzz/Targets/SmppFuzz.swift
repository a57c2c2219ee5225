@testable import SMPP

/// What an SMSC sends: PDUs that are read are written back as they came; a session, whatever it hears and when, ends each submit once, keeps
/// its window and its bounds, and is silent after its end.
/// Input: a byte; bit 0 clear: a stream; set: pairs of an act and its measure, an act's bytes behind it.
enum SmppFuzz: FuzzTarget {
    static let name = "smpp"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        if input.u8() & 1 == 0 { return try codec(Array(input.rest)) }
        try converse(&input)
    }

    private static func codec(_ bytes: [UInt8]) throws(FuzzFailure) {
        let whole = try reads([bytes])
        let third = bytes.count / 3
        try expect(try reads([Array(bytes.prefix(third)), Array(bytes.dropFirst(third))]) == whole, "two pieces are read as another stream")
        for case .pdu(let pdu) in whole {
            try roundTrip(pdu)
            if case .message(let message) = pdu.body, let receipt = DeliveryReceipt(message) { try check(receipt) }
        }
    }

    /// Until the stream is lost or ends.
    private static func reads(_ pieces: [[UInt8]]) throws(FuzzFailure) -> [Read] {
        var stream = PDUStream()
        var reads: [Read] = []
        for piece in pieces {
            stream.append(piece)
            while let read = try next(&stream) {
                reads.append(read)
                if case .failed(.badLength) = read { return reads }
            }
        }
        return reads
    }

    private enum Read: Equatable {
        case pdu(PDU)
        case failed(PDUError)
    }

    private static func next(_ stream: inout PDUStream) throws(FuzzFailure) -> Read? {
        do throws(PDUError) { return try stream.next().map { .pdu($0) } } catch {
            if case .fieldTooLong(let field) = error { throw FuzzFailure(description: "reading tells of our own \(field)") }
            return .failed(error)
        }
    }

    private static func roundTrip(_ pdu: PDU) throws(FuzzFailure) {
        let read: PDU
        do throws(PDUError) { read = try PDU(decoding: try pdu.encoded()[...]) } catch {
            throw FuzzFailure(description: "\(pdu) can't be written: \(error)")
        }
        try expect(read == pdu, "\(pdu) is read back as \(read)")
    }

    private static func check(_ receipt: DeliveryReceipt) throws(FuzzFailure) {
        let ids = [receipt.taggedID, receipt.textID].compactMap { $0 }
        try expect(!ids.isEmpty && ids.allSatisfy { (1...64).contains($0.count) }, "a receipt that names no message: \(receipt)")
        try expect((receipt.error?.count ?? 0) <= 16, "a long error")
    }

    /// What a session owes: each submit's one end, and after `ambiguous` a late one at most.
    private struct Debts {
        var open: Set<UInt64> = []
        var late: Set<UInt64> = []
        var isOver = false

        mutating func take(_ events: [SMPPSession.Event]) throws(FuzzFailure) {
            for event in events {
                try expect(!isOver, "\(event) after the end")
                switch event {
                case .answered(let handle, let answer):
                    if open.remove(handle) != nil {
                        if answer == .ambiguous { late.insert(handle) }
                    } else {
                        try expect(late.remove(handle) != nil && answer != .ambiguous, "\(answer) for \(handle), which has its end")
                    }
                case .ended: isOver = true
                case .receipt(let receipt): try SmppFuzz.check(receipt)
                case .bound: break
                }
            }
            try expect(!isOver || open.isEmpty, "\(open.count) submits without an end")
        }
    }

    private static func converse(_ input: inout FuzzInput) throws(FuzzFailure) {
        var settings = SessionSettings()
        settings.window = 1 + Int(input.u8() & 7)
        var now: UInt64 = 1_000
        var handle: UInt64 = 0
        var debts = Debts()
        guard var session = try? SMPPSession(settings, nowMs: now) else { throw FuzzFailure(description: "no bind") }
        while !input.isEmpty {
            let (act, measure) = (input.u8(), input.u8())
            switch act & 7 {
            case 0, 1, 2: try debts.take(session.receive(Array(input.take(Int(measure))), nowMs: now))
            case 3: session.wrote(min(session.output.count, Int(measure)))
            case 4: session.wrote(session.output.count)
            case 5:
                now += UInt64(measure) * 100
                try debts.take(session.tick(nowMs: now))
            case 6:
                guard session.room(nowMs: now) > 0 else { break }
                var message = ShortMessage()
                message.text = [UInt8](repeating: measure, count: Int(measure) % 200)
                handle += 1
                debts.open.insert(handle)
                guard (try? session.submit(message, handle: handle, nowMs: now)) != nil else {
                    throw FuzzFailure(description: "a submit doesn't fit")
                }
            default: try debts.take(measure & 1 == 0 ? session.drain(nowMs: now) : session.lost())
            }
            try check(session, settings, debts, now)
        }
        try debts.take(session.lost())
        try expect(debts.isOver, "no end")
    }

    private static func check(
        _ session: SMPPSession, _ settings: SessionSettings, _ debts: Debts, _ now: UInt64
    ) throws(FuzzFailure) {
        let room = session.room(nowMs: now)
        try expect(debts.open.count <= settings.window && room <= settings.window - debts.open.count, "the window is exceeded")
        try expect(!debts.isOver || room == 0, "room after the end")
        try expect(session.output.count <= SMPPSession.maxOutput + 2 * PDU.maxBytes, "\(session.output.count) bytes wait")
        try expect(debts.isOver == (session.deadline(nowMs: now) == nil), "a deadline after the end, or none before")
    }
}
