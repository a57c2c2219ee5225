import CDigest
public import Wire

/// `session` in every message is a digest of the browser's session, never the session itself.
extension Bytes32 {
    /// From a digest's bytes; `nil` unless they are 32.
    public init?(bytes: some Sequence<UInt8>) {
        let all = Array(bytes)
        guard all.count == 32 else { return nil }
        self.init(digest: all)
    }

    /// The SHA-256 of a text's UTF-8: of a session cookie's value, say.
    public init(sha256Of text: String) {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        cdigest_sha256(bytes, bytes.count, &digest)
        self.init(digest: digest)
    }

    private init(digest: [UInt8]) {
        func word(_ index: Int) -> UInt64 {
            digest[8 * index..<8 * index + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(head: Bytes16(high: word(0), low: word(1)), tail: Bytes16(high: word(2), low: word(3)))
    }
}
