/// Connections in the order in which their time began, so that the first is the first to be late. Linked through the connections
/// themselves: joining, leaving and looking for who is late cost the same however many there are, which a flood of connects can't
/// change.
struct Lineup {
    private(set) var first: Connection?
    private var last: Connection?
    private(set) var count = 0

    /// Joins at the end; `now`: the peer clock's milliseconds, never less than before.
    mutating func append(_ connection: Connection, now: UInt64) {
        precondition(!connection.isLinedUp, "a connection waits for one thing at a time")
        connection.isLinedUp = true
        connection.linedUpMs = now
        connection.previous = last
        if let last { last.next = connection } else { first = connection }
        last = connection
        count += 1
    }

    /// Leaves, from any place, and takes no part in its neighbours' life any more; without effect for one that isn't here.
    mutating func remove(_ connection: Connection) {
        guard connection.isLinedUp else { return }
        connection.isLinedUp = false
        let (previous, next) = (connection.previous, connection.next)
        if let previous { previous.next = next } else { first = next }
        if let next { next.previous = previous } else { last = previous }
        connection.previous = nil
        connection.next = nil
        count -= 1
    }

    /// The first, if it has waited for `ms`.
    func late(now: UInt64, after ms: UInt64) -> Connection? {
        guard let first, now >= first.linedUpMs + ms else { return nil }
        return first
    }
}
