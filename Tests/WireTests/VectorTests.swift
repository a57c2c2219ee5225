import Foundation
import Testing
import Wire

/// Every vector: whole, byte by byte, split at each offset; valid ones encode to the same bytes.
@Suite struct VectorTests {
    /// What came of a stream of bytes.
    enum Outcome: Equatable {
        case needMore
        case failed(String)
        case frame(fields: [String], again: [UInt8])
    }

    /// Feeds `chunks` one after the other, as a connection would.
    static func outcome(_ vector: Vector, _ chunks: [ArraySlice<UInt8>]) throws -> Outcome {
        var buffer: [UInt8] = []
        for chunk in [[]] + chunks {
            buffer += chunk
            do throws(WireError) {
                if let parsed = try parse(vector, buffer) { return parsed }
            } catch { return .failed(name(error)) }
        }
        return .needMore
    }

    private static func parse(_ vector: Vector, _ buffer: [UInt8]) throws(WireError) -> Outcome? {
        let result: Result<Outcome?, WireError> = buffer.withUnsafeBytes { raw in
            do throws(WireError) {
                guard let frame = try Frame.next(in: raw) else { return .success(nil) }
                return .success(try decode(vector, frame))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    static func name(_ error: WireError) -> String {
        switch error {
        case .badFrameLength: "badFrameLength"
        case .badFlags: "badFlags"
        case .truncatedBody: "truncatedBody"
        case .badBody: "badBody"
        case .unsupportedField: "unsupportedField"
        }
    }

    private static func decode(_ vector: Vector, _ frame: Frame) throws(WireError) -> Outcome {
        let isReply = vector.kind == "reply"
        guard frame.correlation == vector.correlation else { return .failed("correlation \(frame.correlation)") }
        let body = isReply ? UnsafeRawBufferPointer(rebasing: frame.body.dropFirst(2)) : frame.body
        func request<M: RequestMessage>(_ type: M.Type) throws(WireError) -> Outcome {
            let message = try FieldDecoder.decode(M.self, from: body)
            guard frame.opcode == M.opcode.rawValue, frame.flags == [] else { return .failed("header") }
            return try both(message) { b throws(WireError) in
                try FieldEncoder.request(message, correlation: frame.correlation, into: b)
            }
        }
        func reply<M: Message>(_ type: M.Type) throws(WireError) -> Outcome {
            let message = try FieldDecoder.decode(M.self, from: body)
            guard frame.flags == .reply else { return .failed("header") }
            return try both(message) { b throws(WireError) in
                try FieldEncoder.reply(message, to: frame.opcode, correlation: frame.correlation, into: b)
            }
        }
        func push<M: PushMessage>(_ type: M.Type) throws(WireError) -> Outcome {
            let message = try FieldDecoder.decode(M.self, from: body)
            guard frame.opcode == M.opcode.rawValue, frame.flags == .push else { return .failed("header") }
            return try both(message) { b throws(WireError) in try FieldEncoder.push(message, into: b) }
        }
        switch vector.message {
        case "Hello": return try request(Hello.self)
        case "Hello reply": return try reply(Hello.Reply.self)
        case "Ping": return try request(Ping.self)
        case "Ping reply": return try reply(Ping.Reply.self)
        case "Goodbye": return try push(Goodbye.self)
        case "RequestCode": return try request(RequestCode.self)
        case "Challenge reply": return try reply(ChallengeReply.self)
        case "Resend": return try request(Resend.self)
        case "Verify": return try request(Verify.self)
        case "Verify reply": return try reply(Verify.Reply.self)
        case "Cancel": return try request(Cancel.self)
        case "Empty": return try reply(Empty.self)
        case "Status": return try request(StatusRequest.self)
        case "Status reply": return try reply(StatusRequest.Reply.self)
        case "Quota": return try request(Quota.self)
        case "Quota reply": return try reply(Quota.Reply.self)
        case "CheckGrant": return try request(CheckGrant.self)
        case "RedeemGrant": return try request(RedeemGrant.self)
        case "Grant reply": return try reply(GrantReply.self)
        case "LeaseMessages": return try request(LeaseMessages.self)
        case "LeaseMessages reply": return try reply(LeaseMessages.Reply.self)
        case "Message": return try push(MessagePush.self)
        case "ReportMessage": return try request(ReportMessage.self)
        case "ReportReceipt": return try request(ReportReceipt.self)
        case "Subscribe": return try request(Subscribe.self)
        case "Subscribe reply": return try reply(Subscribe.Reply.self)
        case "Event": return try push(EventPush.self)
        case "Acknowledge": return try request(Acknowledge.self)
        case "Unblock": return try request(Unblock.self)
        case "Stats": return try request(Stats.self)
        case "ReportRoute": return try request(ReportRoute.self)
        case "ReportRoute reply": return try reply(ReportRoute.Reply.self)
        case "ShowRoute": return try request(ShowRoute.self)
        case "ShowRoute reply": return try reply(ShowRoute.Reply.self)
        case "DrainRoute": return try request(DrainRoute.self)
        case "Stats reply": return try reply(Stats.Reply.self)
        case "Drain": return try request(Drain.self)
        case "Refusal":
            let message = try FieldDecoder.decode(Refusal.self, from: body)
            return try both(message) { b throws(WireError) in
                try FieldEncoder.refusal(message, to: frame.opcode, correlation: frame.correlation, into: b)
            }
        default: return .failed("unknown message \(vector.message)")
        }
    }

    private static func both<M: Message>(
        _ message: M, _ encode: (UnsafeMutableRawBufferPointer) throws(WireError) -> Int
    ) throws(WireError) -> Outcome {
        var printer = FieldPrinter()
        var copy = message
        try copy.fields(&printer)
        var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        // What can't be encoded (a field that came too long) shows as no bytes.
        let count = buffer.withUnsafeMutableBytes { raw in (try? encode(raw)) ?? 0 }
        return .frame(fields: printer.lines, again: Array(buffer.prefix(count)))
    }

    @Test func vectorsAreThere() {
        #expect(Vector.all.count >= 60, "run scripts/make-vectors.py")
        let covered = Set(Vector.all.map(\.message))
        for message in ProtocolDocumentTests.messages.map(\.name) { #expect(covered.contains(message), "\(message)") }
    }

    @Test(arguments: Vector.all) func vector(_ vector: Vector) throws {
        let whole = try Self.outcome(vector, [vector.bytes[...]])
        switch whole {
        case .needMore: #expect(vector.expect == "needMore")
        case .failed(let reason): #expect(reason == vector.expect)
        case .frame(let fields, let again):
            #expect(vector.expect == "ok")
            #expect(fields == vector.fields)
            if vector.reencodes { #expect(again == vector.bytes) } else { #expect(again != vector.bytes) }
        }
        #expect(try Self.outcome(vector, vector.bytes.indices.map { vector.bytes[$0...$0] }) == whole, "byte by byte")
        for cut in vector.bytes.indices {
            #expect(try Self.outcome(vector, [vector.bytes[..<cut], vector.bytes[cut...]]) == whole, "cut at \(cut)")
        }
    }

    /// The worked examples of PROTOCOL.md are the vectors' bytes.
    @Test func examplesMatchVectors() throws {
        let document = ProtocolDocumentTests.document
        let part = try #require(document.components(separatedBy: "\n## 13. Worked examples\n").last)
        var seen = 0
        for block in part.components(separatedBy: "\n\n`").dropFirst() {
            let name = block.prefix { $0 != "`" }
            let hex = try #require(block.components(separatedBy: "```").dropFirst().first).filter { $0.isHexDigit }
            let vector = try #require(Vector.all.first { $0.name == name }, "\(name)")
            #expect(try Vector.unhex(hex) == vector.bytes, "\(name)")
            seen += 1
        }
        #expect(seen >= 35)
    }
}
