/// Users that were refused at Hello: somebody who should not be there tries the socket. The operator reads of
/// each once a minute, and of no more than a few: whoever is refused can connect without end.
struct RefusedPeers {
    /// Milliseconds between two remarks on one user.
    static let remarkMs: UInt64 = 60_000
    /// Users of whom a minute's remarks tell.
    static let most = 8

    /// Where the operator reads it; set by the server.
    var remark: (String) -> Void = { _ in }
    private(set) var total: UInt64 = 0
    private var told: [(uid: UInt32, atMs: UInt64)] = []

    mutating func note(uid: UInt32, listener: String, now: UInt64) {
        total += 1
        told.removeAll { now >= $0.atMs + RefusedPeers.remarkMs }
        guard told.count < RefusedPeers.most, !told.contains(where: { $0.uid == uid }) else { return }
        told.append((uid, now))
        remark(
            "refused uid \(uid) at \(listener): it has no such tenant or role there. If it should, add it to a `[[peer]]` and start again; "
                + "peers_refused_total in `otpctl stats` counts all")
    }
}
