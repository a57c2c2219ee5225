/// Cuts a connection's bytes into PDUs. Holds at most one incomplete PDU and what came with it.
package struct PDUStream: Sendable {
    private var input: [UInt8] = []
    private var position = 0

    package init() {}

    package mutating func append(_ bytes: some Collection<UInt8>) {
        // What was read goes in one move per append, not per PDU.
        input.removeFirst(position)
        position = 0
        input += bytes
    }

    /// The next whole PDU; `nil` when more bytes are needed. After `badLength` nothing more can be read; any other error concerns
    /// the PDU that it tells of, which is taken.
    package mutating func next() throws(PDUError) -> PDU? {
        let rest = input[position...]
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard length >= UInt32(PDU.headerBytes), length <= UInt32(PDU.maxBytes) else {
            throw .badLength(length)
        }
        guard rest.count >= Int(length) else { return nil }
        position += Int(length)
        return try PDU(decoding: rest.prefix(Int(length)))
    }
}
