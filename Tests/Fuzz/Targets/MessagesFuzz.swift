import Wire

/// Every message's codec: any body decodes or is refused; what decodes, encodes to bytes that decode to the same, and a buffer that
/// is too small for it is refused. Input: which message, then its body.
enum MessagesFuzz: FuzzTarget {
    static let name = "messages"

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        guard let first = bytes.first, bytes.count <= FrameLimits.maxFrameBytes else { return }
        let body = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        try codecs[Int(first) % codecs.count](body)
    }

    /// Appended to, never reordered: the corpus names them by number.
    private static let codecs: [@Sendable (UnsafeRawBufferPointer) throws(FuzzFailure) -> Void] = [
        codec(Hello.self), codec(Hello.Reply.self), codec(Ping.self), codec(Ping.Reply.self), codec(Goodbye.self),
        codec(Refusal.self), codec(RequestCode.self), codec(ChallengeReply.self), codec(Resend.self), codec(Verify.self),
        codec(Verify.Reply.self), codec(Cancel.self), codec(StatusRequest.self), codec(StatusRequest.Reply.self),
        codec(Quota.self), codec(Quota.Reply.self), codec(CheckGrant.self), codec(RedeemGrant.self),
        codec(GrantReply.self), codec(LeaseMessages.self), codec(LeaseMessages.Reply.self), codec(MessagePush.self),
        codec(ReportMessage.self), codec(ReportReceipt.self), codec(Subscribe.self), codec(Subscribe.Reply.self), codec(EventPush.self),
        codec(Acknowledge.self), codec(Stats.Reply.self), codec(ReportRoute.self), codec(ReportRoute.Reply.self), codec(ShowRoute.self),
        codec(ShowRoute.Reply.self), codec(DrainRoute.self), codec(Empty.self),
    ]

    private static func codec<M: Message>(
        _ type: M.Type
    ) -> @Sendable (UnsafeRawBufferPointer) throws(FuzzFailure) -> Void {
        { (body) throws(FuzzFailure) in
            guard let first = try? FieldDecoder.decode(M.self, from: body) else { return }
            let (once, twice) = (scratch(0), scratch(1))
            // A field that came too long is kept as its length alone, and can't be encoded.
            guard let count = encode(first, into: once) else { return }
            let bytes = UnsafeRawBufferPointer(rebasing: once[..<count])
            // Unknown fields are dropped, nothing is added.
            try expect(count <= body.count, "\(M.self) grew from \(body.count) to \(count) bytes")
            guard let second = try? FieldDecoder.decode(M.self, from: bytes) else {
                throw FuzzFailure(description: "what was encoded doesn't decode: \(M.self)")
            }
            let again = encode(second, into: twice)
            try expect(
                again == count && isEqual(bytes, UnsafeRawBufferPointer(rebasing: twice[..<count])),
                "a round trip changed \(M.self)")
            if count > 0 {
                let short = UnsafeMutableRawBufferPointer(rebasing: twice[..<(count - 1)])
                try expect(encode(first, into: short) == nil, "\(M.self) was encoded into less than it takes")
            }
        }
    }

    private static func encode<M: Message>(_ message: M, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        var encoder = FieldEncoder(buffer)
        var copy = message
        do throws(WireError) { try copy.fields(&encoder) } catch { return nil }
        return encoder.count
    }

    private static let memory = ScratchMemory(bytes: 2 * FrameLimits.maxFrameBytes)

    private static func scratch(_ index: Int) -> UnsafeMutableRawBufferPointer {
        memory.slice(index * FrameLimits.maxFrameBytes, FrameLimits.maxFrameBytes)
    }
}
