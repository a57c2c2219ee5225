import Testing
import Wire

/// Frames and fields: whole, cut, and wrong.
@Suite struct FrameTests {
    static func bytes<M: RequestMessage>(_ message: M) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count = try buffer.withUnsafeMutableBytes { try FieldEncoder.request(message, correlation: 7, into: $0) }
        return Array(buffer.prefix(count))
    }

    static var request: RequestCode {
        var message = RequestCode()
        message.requestID = Bytes16(timeMs: 1_700_000_000_000, tailHigh: 1, tailLow: 2)
        message.purpose = 1
        message.assurance = 1
        message.account = AccountBytes("alice")
        message.phone = PhoneBytes("+33612345678")
        message.session = Bytes32(head: Bytes16(high: 1, low: 2), tail: Bytes16(high: 3, low: 4))
        message.channel = 1
        message.locale = InlineBytes("fr")
        message.webHost = InlineBytes("shop.example")
        return message
    }

    func decode<M: Message>(_ type: M.Type, _ frame: [UInt8]) throws -> M {
        try frame.withUnsafeBytes { raw in
            let parsed = try #require(try Frame.next(in: raw))
            return try FieldDecoder.decode(M.self, from: parsed.body)
        }
    }

    @Test func roundTrip() throws {
        let whole = try Self.bytes(Self.request)
        let decoded = try decode(RequestCode.self, whole)
        #expect(decoded.account.text == "alice")
        #expect(decoded.channel == 1)
        #expect(decoded.webHost.text == "shop.example")
        #expect(try Self.bytes(decoded) == whole)
    }

    @Test func anyCutNeedsMoreBytes() throws {
        let whole = try Self.bytes(Self.request)
        for cut in 0..<whole.count {
            let prefix = Array(whole.prefix(cut))
            let isWhole = try prefix.withUnsafeBytes { try Frame.next(in: $0) != nil }
            #expect(!isWhole, "cut at \(cut)")
        }
    }

    @Test func lengthsOutOfRange() {
        for length in [0, 7, 4093, UInt32.max] as [UInt32] {
            let prefix = withUnsafeBytes(of: length.bigEndian) { Array($0) }
            #expect(throws: WireError.badFrameLength(length)) {
                try prefix.withUnsafeBytes { _ = try Frame.next(in: $0) }
            }
        }
    }

    @Test func reservedFlags() throws {
        for flags in [3, 4, 0x8000] as [UInt16] {
            var whole = try Self.bytes(Ping())
            whole[6] = UInt8(flags >> 8)
            whole[7] = UInt8(flags & 0xFF)
            #expect(throws: WireError.badFlags(flags)) { try whole.withUnsafeBytes { _ = try Frame.next(in: $0) } }
        }
    }

    /// Every shorter body is truncated, or ends between two optional fields.
    @Test func truncatedBodies() throws {
        let body = Array(try Self.bytes(Self.request).dropFirst(12))
        let fixedEnd = 16 + 2 + 1 + 6 + 13 + 32
        for cut in 0..<body.count {
            let part = Array(body.prefix(cut))
            let isWhole = cut == fixedEnd || cut == fixedEnd + 4 || cut == fixedEnd + 4 + 5
            if isWhole {
                _ = try part.withUnsafeBytes { try FieldDecoder.decode(RequestCode.self, from: $0) }
            } else {
                #expect(throws: WireError.truncatedBody) {
                    _ = try part.withUnsafeBytes { try FieldDecoder.decode(RequestCode.self, from: $0) }
                }
            }
        }
    }

    @Test func tags() throws {
        let ping: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 1]
        func decode(_ tail: [UInt8]) throws -> Ping {
            try (ping + tail).withUnsafeBytes { try FieldDecoder.decode(Ping.self, from: $0) }
        }
        #expect(try decode([9, 0, 1, 65]).token == 1, "an unknown optional field is skipped")
        #expect(throws: WireError.unsupportedField(tag: 0x89)) { try decode([0x89, 0, 1, 65]) }
        #expect(throws: WireError.badBody) { try decode([9, 0, 0, 9, 0, 0]) }
        #expect(throws: WireError.badBody) { try decode([9, 0, 0, 3, 0, 0]) }
        #expect(throws: WireError.truncatedBody) { try decode([9, 0, 2, 65]) }
        #expect(throws: WireError.truncatedBody) { try decode([9, 0]) }
    }

    @Test func tooLongStringsAreKeptAsSuch() throws {
        var body = [UInt8](repeating: 0, count: 19)
        body.append(200)
        body += [UInt8](repeating: 0x61, count: 200)
        body.append(0)
        body += [UInt8](repeating: 0, count: 32)
        let message = try body.withUnsafeBytes { try FieldDecoder.decode(RequestCode.self, from: $0) }
        #expect(message.account.isTooLong)
        #expect(message.account.count == 0)
    }

    /// No bytes trap the decoder.
    @Test func mutations() throws {
        let seed: UInt64 = 42
        print("mutations: seed \(seed)")
        var state = seed
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        let whole = try Self.bytes(Self.request)
        for _ in 0..<20_000 {
            var copy = whole
            for _ in 0...next() % 4 { copy[Int(next()) % copy.count] = UInt8(truncatingIfNeeded: next()) }
            copy = Array(copy.prefix(Int(next()) % (copy.count + 1)))
            copy.withUnsafeBytes { raw in
                guard let frame = try? Frame.next(in: raw) else { return }
                _ = try? FieldDecoder.decode(RequestCode.self, from: frame.body)
                _ = try? FieldDecoder.decode(MessagePush.self, from: frame.body)
            }
        }
    }
}
