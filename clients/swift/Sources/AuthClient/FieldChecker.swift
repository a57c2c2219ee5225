import Wire

/// Walks a message's fields and finds the first that can't be said: longer than the protocol allows.
struct FieldChecker: FieldCoder {
    /// What its caller is told: a sentence without the field's content, or the server's refusal.
    private var mistake: ClientError?

    static func mistake<M: Message>(in message: M) -> ClientError? {
        var checker = FieldChecker()
        var copy = message
        do { try copy.fields(&checker) } catch {
            return .invalidRequest("the request can't be encoded: \(error)")
        }
        return checker.mistake
    }

    private mutating func check<let n: Int>(_ name: StaticString, _ value: InlineBytes<n>) {
        guard value.isTooLong, mistake == nil else { return }
        mistake = .invalidRequest("\(name) has \(value.declaredCount) bytes, and at most \(n) are allowed")
    }

    mutating func u8(_ name: StaticString, _ value: inout UInt8) throws(WireError) {}
    mutating func u16(_ name: StaticString, _ value: inout UInt16) throws(WireError) {}
    mutating func u32(_ name: StaticString, _ value: inout UInt32) throws(WireError) {}
    mutating func u64(_ name: StaticString, _ value: inout UInt64) throws(WireError) {}
    mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) throws(WireError) {}
    mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) throws(WireError) {}
    mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        check(name, value)
    }
    mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        // A code is what the shopper typed: no mistake of the program's, and told as the server would.
        if value.isTooLong, mistake == nil, "\(name)" == "code" {
            mistake = .refused(Refusal(.invalidCode))
        }
        try blob8(name, &value)
    }
    mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        check(name, value)
    }
    mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt8?) throws(WireError) {}
    mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt64?) throws(WireError) {}
    mutating func tagged<let n: Int>(
        _ tag: Tag, _ name: StaticString, _ value: inout InlineBytes<n>
    ) throws(WireError) {
        check(name, value)
    }
}
