/// Frames of the server's own that can't be encoded: a fault of this server, which costs one caller one reply
/// and nobody else anything. The operator is told, at most once a minute, because whoever found such a
/// request may send it without end.
struct UnfitFrames {
    /// Milliseconds between two remarks.
    static let remarkMs: UInt64 = 60_000

    /// Where the operator reads it; set by the server.
    var remark: (String) -> Void = { _ in }
    private(set) var total: UInt64 = 0
    private var remarked: UInt64 = 0
    private var remarkedMs: UInt64 = 0

    mutating func note(opcode: UInt16, _ error: any Error, now: UInt64) {
        total += 1
        guard remarked == 0 || now >= remarkedMs + UnfitFrames.remarkMs else { return }
        let more = total - remarked - 1
        remark(
            "a reply or push (opcode \(opcode)) doesn't fit its frame: \(error); its asker was told `unknown`"
                + (more > 0 ? ", and so were \(more) since the last such line" : ""))
        (remarked, remarkedMs) = (total, now)
    }
}
