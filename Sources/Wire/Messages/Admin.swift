/// Asks for the server's counters and gauges. Lookup.
public struct Stats: RequestMessage {
    public static let opcode = Opcode.stats
    public init() {}
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {}

    /// One `name value` pair a line, ASCII, LF after each; names are stable, their order isn't.
    public struct Reply: Message, Equatable {
        /// The lines.
        public var lines = InlineBytes<3500>()

        public init() {}

        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.blob16("lines", &lines)
        }
    }
}

/// Stops the server in good order: no new connections, what is in flight is answered, checkpoint, exit 0. Write.
public struct Drain: RequestMessage {
    public static let opcode = Opcode.drain
    public init() {}
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {}
    public typealias Reply = Empty
}
