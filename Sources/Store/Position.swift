/// How far LMDB holds the journal: in the same LMDB transaction as the state it speaks of.
struct Position: Equatable {
    static let bytes = 160

    /// The last record folded in; 0 = none.
    var sequence: UInt64 = 0
    /// Its segment.
    var segment: UInt64 = 1
    /// Where it begins.
    var offset: UInt64 = 0
    /// Where the next one begins.
    var next: UInt64 = 0
    /// Its tag.
    var tag: (UInt64, UInt64) = (0, 0)
    /// The times it carries.
    var clock = StoreClock(bootID: (0, 0), boottimeMs: 0, engineMs: 0, wallMs: 0)

    static func == (a: Position, b: Position) -> Bool {
        a.sequence == b.sequence && a.segment == b.segment && a.offset == b.offset && a.next == b.next && a.tag == b.tag
            && a.clock == b.clock
    }

    /// Layout as in SCHEMA.md, "meta".
    func encode(into out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        out.set(0, sequence)
        out.set(8, segment)
        out.set(16, offset)
        out.set(24, next)
        out.set(32, tag.0)
        out.set(40, tag.1)
        out.set(48, clock.bootID.0)
        out.set(56, clock.bootID.1)
        out.set(64, clock.boottimeMs)
        out.set(72, clock.engineMs)
        out.set(80, clock.wallMs)
        // 88..<120: the audit chain's head; zero until there is one. 120..<160: reserved, zero.
    }

    init() {}

    /// Of the record `raw` with this header, at `offset` of its segment.
    init(_ header: JournalRecord.Header, _ raw: UnsafeRawBufferPointer, at offset: Int) {
        sequence = header.sequence
        segment = header.segment
        self.offset = UInt64(offset)
        next = UInt64(offset + header.paddedBytes)
        tag = JournalRecord.tag(raw, header)
        clock = header.clock
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Position.bytes else { return nil }
        sequence = bytes.u64(0)
        segment = bytes.u64(8)
        offset = bytes.u64(16)
        next = bytes.u64(24)
        tag = (bytes.u64(32), bytes.u64(40))
        clock = StoreClock(
            bootID: (bytes.u64(48), bytes.u64(56)), boottimeMs: bytes.u64(64), engineMs: bytes.u64(72),
            wallMs: bytes.u64(80))
    }
}
