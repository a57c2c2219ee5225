// Compiled into one module with Sources/Wire by scripts/fuzz.sh.

/// libFuzzer's entry: any bytes are frames or an error, never a trap; what decodes encodes to something that decodes to the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var rest = UnsafeRawBufferPointer(start: start, count: count)
    while let frame = try? Frame.next(in: rest) {
        let body = frame.flags == .reply ? UnsafeRawBufferPointer(rebasing: frame.body.dropFirst(2)) : frame.body
        for fuzz in fuzzers { fuzz(body) }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(frame.totalBytes))
    }
    // Without a frame around it, so that mutations needn't guess lengths.
    for fuzz in fuzzers { fuzz(UnsafeRawBufferPointer(start: start, count: count)) }
    return 0
}

private let fuzzers: [@Sendable (UnsafeRawBufferPointer) -> Void] = [
    check(Hello.self), check(Hello.Reply.self), check(Ping.self), check(Ping.Reply.self), check(Goodbye.self),
    check(Refusal.self), check(RequestCode.self), check(ChallengeReply.self), check(Resend.self), check(Verify.self),
    check(Verify.Reply.self), check(Cancel.self), check(StatusRequest.self), check(StatusRequest.Reply.self),
    check(Quota.self), check(Quota.Reply.self), check(CheckGrant.self), check(RedeemGrant.self), check(GrantReply.self),
    check(LeaseMessages.self), check(LeaseMessages.Reply.self), check(MessagePush.self), check(ReportMessage.self),
    check(Subscribe.self), check(Subscribe.Reply.self), check(EventPush.self), check(Acknowledge.self),
    check(Stats.Reply.self),
]

/// A message that decodes: its bytes, encoded, decode again to the same bytes. A field that came too long can't be encoded.
private func check<M: Message>(_ type: M.Type) -> @Sendable (UnsafeRawBufferPointer) -> Void {
    { body in
        guard body.count <= FrameLimits.maxFrameBytes, let first = try? FieldDecoder.decode(M.self, from: body),
            let bytes = encoded(first)
        else { return }
        guard let second = try? bytes.withUnsafeBytes({ try FieldDecoder.decode(M.self, from: $0) }) else {
            preconditionFailure("what was encoded doesn't decode: \(M.self)")
        }
        precondition(encoded(second) == bytes, "a round trip changed \(M.self)")
    }
}

private func encoded<M: Message>(_ message: M) -> [UInt8]? {
    withUnsafeTemporaryAllocation(byteCount: FrameLimits.maxFrameBytes, alignment: 8) { buffer in
        var encoder = FieldEncoder(buffer)
        var copy = message
        do { try copy.fields(&encoder) } catch { return nil }
        return Array(buffer.prefix(encoder.count))
    }
}
