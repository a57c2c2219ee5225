import CDigest
public import Wire

/// Request ids of browser forms. A browser can post a form twice; with a fresh id each, the second post costs
/// an attempt, or tells a shopper who is in to start again. With these, both posts are one request, in
/// whatever processes they arrive, and both get its outcome; `repeated` in the reply says which post acted.
///
/// Such an id is a MAC of the code: whoever has it and the session's digest finds the code by trying. Never
/// log it.
extension AuthClient {
    /// The request id of a Verify. Set the same challenge, session, code and address in the message.
    /// Vectors: Tests/Vectors/form-request-ids.txt.
    ///
    /// The challenge's first 6 bytes (its engine time: it lives for at most 600 s, an id is good for 660),
    /// then 10 bytes of a MAC.
    /// - Parameters:
    ///   - code: as typed and as sent; what is typed may be too long to be sent.
    ///   - clientIP: 4 or 16 bytes, none where the message has none.
    ///   - generation: counts the times that the form was shown for this challenge (a hidden field of it,
    ///     say): the same wrong code in a form shown anew is another attempt.
    public static func formRequestID(
        challenge: Bytes16, session: Bytes32, code: some Collection<UInt8>,
        clientIP: InlineBytes<16> = InlineBytes(), generation: UInt32 = 0
    ) -> Bytes16 {
        var mac = FormMAC(label: "otpd-form-verify-1")
        mac.append(challenge.bytes)
        mac.append(bigEndian(generation))
        mac.append(code)
        mac.append(clientIP.array)
        return mac.requestID(time: challenge, session: session)
    }

    /// The same of a code as text: its UTF-8.
    public static func formRequestID(
        challenge: Bytes16, session: Bytes32, code: String, clientIP: InlineBytes<16> = InlineBytes(),
        generation: UInt32 = 0
    ) -> Bytes16 {
        formRequestID(
            challenge: challenge, session: session, code: Array(code.utf8), clientIP: clientIP,
            generation: generation)
    }

    /// The request id of the RedeemGrant that follows: the same in all processes that hold the grant.
    public static func formRequestID(grant: Bytes32, session: Bytes32) -> Bytes16 {
        var mac = FormMAC(label: "otpd-form-redeem-1")
        mac.append(grant.bytes)
        return mac.requestID(time: grant.head, session: session)
    }
}

/// HMAC-SHA-256 over fields, each behind its length, so that no two lists of fields give the same bytes.
private struct FormMAC {
    private var data: [UInt8] = []

    init(label: String) { append(label.utf8) }

    mutating func append(_ field: some Collection<UInt8>) {
        data += bigEndian(UInt32(clamping: field.count))
        data += field
    }

    func requestID(time: Bytes16, session: Bytes32) -> Bytes16 {
        var digest = [UInt8](repeating: 0, count: 32)
        let done = cdigest_hmac_sha256(session.bytes, data, data.count, &digest)
        precondition(done != 0, "libcrypto has no HMAC-SHA-256")
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return Bytes16(
            timeMs: time.timeMs, tailHigh: UInt16(truncatingIfNeeded: word(digest[0..<2])),
            tailLow: word(digest[2..<10]))
    }
}

private func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}

extension Bytes16 {
    fileprivate var bytes: [UInt8] { bigEndian(high) + bigEndian(low) }
}

extension Bytes32 {
    fileprivate var bytes: [UInt8] { head.bytes + tail.bytes }
}
