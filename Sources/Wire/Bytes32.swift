/// Thirty-two opaque bytes: a session digest or an opaque grant. A grant is a bearer secret, so the value never prints itself.
public struct Bytes32: Sendable, Hashable {
    /// Bytes 0–15.
    public var head: Bytes16
    /// Bytes 16–31.
    public var tail: Bytes16

    /// All zero: "no session" where a purpose allows it.
    public static let zero = Bytes32(head: .zero, tail: .zero)

    /// Two halves.
    public init(head: Bytes16, tail: Bytes16) {
        self.head = head
        self.tail = tail
    }

    /// From 64 hexadecimal digits; `nil` for anything else.
    public init?(hexadecimal text: String) {
        guard let words = words(ofHexadecimal: text, count: 4) else { return nil }
        self.init(
            head: Bytes16(high: words[0], low: words[1]), tail: Bytes16(high: words[2], low: words[3]))
    }

    /// 64 hexadecimal digits. Named loudly because a grant opens an account: it belongs in no log.
    public var revealedHexadecimal: String { head.description + tail.description }
}

extension Bytes32: CustomStringConvertible {
    /// Never the value.
    public var description: String { "<32 bytes>" }
}
