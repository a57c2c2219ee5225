/// Lists the fields of a message, one line each, in the form of the tables of `PROTOCOL.md`.
public struct FieldLister: FieldCoder {
    /// `type name`, or `tag N type name` with `!` after a critical tag's number.
    public private(set) var lines: [String] = []

    /// The lines of `M`.
    public static func list<M: Message>(_ type: M.Type) -> [String] {
        var lister = FieldLister()
        var message = M()
        do { try message.fields(&lister) } catch { lister.lines.append("error \(error)") }
        return lister.lines
    }

    private mutating func add(_ type: String, _ name: StaticString) { lines.append("\(type) \(name)") }
    private mutating func add(_ tag: Tag, _ type: String, _ name: StaticString) {
        lines.append("tag \(tag.number)\(tag.isCritical ? "!" : "") \(type) \(name)")
    }

    public mutating func u8(_ name: StaticString, _ value: inout UInt8) throws(WireError) { add("u8", name) }
    public mutating func u16(_ name: StaticString, _ value: inout UInt16) throws(WireError) { add("u16", name) }
    public mutating func u32(_ name: StaticString, _ value: inout UInt32) throws(WireError) { add("u32", name) }
    public mutating func u64(_ name: StaticString, _ value: inout UInt64) throws(WireError) { add("u64", name) }
    public mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) throws(WireError) {
        add("bytes16", name)
    }
    public mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) throws(WireError) {
        add("bytes32", name)
    }
    public mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        add("blob8(\(n))", name)
    }
    public mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>)
        throws(WireError)
    {
        add("judged8(\(n))", name)
    }
    public mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) throws(WireError) {
        add("blob16(\(n))", name)
    }
    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt8?) throws(WireError) {
        add(tag, "u8", name)
    }
    public mutating func tagged(_ tag: Tag, _ name: StaticString, _ value: inout UInt64?) throws(WireError) {
        add(tag, "u64", name)
    }
    public mutating func tagged<let n: Int>(
        _ tag: Tag, _ name: StaticString, _ value: inout InlineBytes<n>
    ) throws(WireError) {
        add(tag, "bytes(\(n))", name)
    }
}
