/// Connections that wait to be decided: users take turns, and so do the connections of each user. A user is a
/// uid of the machine: its thousand connections get as many requests decided as another's ten. What counts is
/// what was decided, not who asked.
///
/// A round gives each connection one part at most, so it ends whatever arrives meanwhile: up to `part`
/// requests of those that it has asked for, in one visit or in several. Who hasn't had a part keeps the place
/// before those who have. Linked through the connections and their users' lines: nothing here costs more
/// because there are many, and nothing allocates.
struct FairQueue {
    /// What one user has waiting here, first come first.
    final class Line {
        fileprivate var first: Connection?
        fileprivate var last: Connection?
        /// The next user's.
        fileprivate var next: Line?
        fileprivate var isInRing = false
        /// Requests that are left of its visit. Less than 0: a part went beyond the last one, which the next
        /// makes up for.
        fileprivate var balance = 0
        /// The round in which it was served last, and requests that it had in that.
        fileprivate var round: UInt64 = 0
        fileprivate var had = 0
    }

    /// Requests of one user at one visit, and of one connection in one round.
    private let visit: Int
    private let part: Int
    /// Requests of one user in one round: alone, and with others in that round, who must not wait for its end
    /// for long.
    private let shareAlone: Int
    private let shareInCompany: Int
    private var round: UInt64 = 0
    private var usersInRound = 0
    /// Those who may have something in this round, and those who have had their part of it.
    private var waiting = Ring()
    private var done = Ring()

    init(visit: Int, part: Int, shareAlone: Int, shareInCompany: Int) {
        self.visit = visit
        self.part = part
        self.shareAlone = shareAlone
        self.shareInCompany = shareInCompany
    }

    var isEmpty: Bool { waiting.first == nil && done.first == nil }

    /// Joins at the end of its user's line. Who had nothing here yet takes part in the round under way.
    mutating func append(_ connection: Connection, to line: Line) {
        precondition(!connection.isQueued, "a connection waits in one line at a time")
        connection.isQueued = true
        if let last = line.last { last.nextInLine = connection } else { line.first = connection }
        line.last = connection
        if !line.isInRing { waiting.append(line) }
    }

    /// A round begins; no two, of this queue or another, have the same number.
    mutating func begin(_ number: UInt64) {
        round = number
        usersInRound = 0
        waiting.append(&done)
    }

    /// Nobody waits for a part of this round.
    mutating func isOver() -> Bool {
        while let line = waiting.first, !hasPart(line) {
            waiting.removeFirst()
            done.append(line)
        }
        return waiting.first == nil
    }

    /// Takes out the connection whose turn it is; `charge` follows. `nil`: the round is over.
    mutating func next() -> Connection? {
        guard !isOver(), let line = waiting.first, let connection = line.first else { return nil }
        if line.round != round {
            (line.round, line.had) = (round, 0)
            usersInRound += 1
        }
        if line.balance <= 0 { line.balance += visit }
        line.first = connection.nextInLine
        if line.first == nil { line.last = nil }
        connection.nextInLine = nil
        connection.isQueued = false
        if connection.lastRound != round { (connection.lastRound, connection.partLeft) = (round, part) }
        return connection
    }

    /// What the connection that `next` gave has had; a look at it alone counts as one request. Returns what
    /// counts.
    mutating func charge(_ connection: Connection, _ decided: Int) -> Int {
        let count = max(1, decided)
        // Only the visit's end cut it short: it goes on at another.
        connection.partLeft = decided == visit ? connection.partLeft - count : 0
        guard let line = waiting.first else { return count }
        line.balance -= count
        line.had += count
        if line.first == nil {
            waiting.removeFirst()
            // Nobody saves up what he didn't want.
            line.balance = min(line.balance, 0)
        } else if line.balance <= 0 {
            waiting.removeFirst()
            waiting.append(line)
        }
        return count
    }

    /// Lets go of all.
    mutating func removeAll() {
        waiting.append(&done)
        while let line = waiting.first {
            waiting.removeFirst()
            while let connection = line.first {
                line.first = connection.nextInLine
                connection.nextInLine = nil
                connection.isQueued = false
            }
            line.last = nil
        }
    }

    private func hasPart(_ line: Line) -> Bool {
        guard let first = line.first, first.lastRound != round || first.partLeft > 0 else { return false }
        return line.round != round || line.had < (usersInRound > 1 ? shareInCompany : shareAlone)
    }

    /// Users' lines, one after the other.
    private struct Ring {
        var first: Line?
        private var last: Line?

        mutating func append(_ line: Line) {
            line.isInRing = true
            if let last { last.next = line } else { first = line }
            last = line
        }

        /// All of another's, which is empty then.
        mutating func append(_ other: inout Ring) {
            if let last { last.next = other.first } else { first = other.first }
            last = other.last ?? last
            (other.first, other.last) = (nil, nil)
        }

        mutating func removeFirst() {
            guard let line = first else { return }
            first = line.next
            if first == nil { last = nil }
            line.next = nil
            line.isInRing = false
        }
    }
}
