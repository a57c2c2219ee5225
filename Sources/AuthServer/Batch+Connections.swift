import Store
import Wire

/// Who may be connected, and who has been too slow.
extension Batch {
    /// Takes a connection in, or says why not.
    func add(_ connection: Connection) -> Goodbye? {
        let uid = connection.uid
        guard !isDraining else { return Goodbye(.shuttingDown, "the server is stopping; connect again") }
        guard connections.count < settings.maxConnections else {
            counters.connectionsRefused += 1
            return Goodbye(.tooManyConnections, "too many connections; close some, or raise max_connections")
        }
        let user = users[uid] ?? User()
        guard user.connections < settings.connectionsPerUID else {
            counters.connectionsRefused += 1
            return Goodbye(
                .tooManyConnections, "uid \(uid) has \(settings.connectionsPerUID) connections; close some, or raise max_connections_per_uid")
        }
        connection.place = connections.count
        connections.append(connection)
        user.connections += 1
        users[uid] = user
        connection.user = user
        waiting.append(connection, now: peerClock.at(clock.now().engineMs))
        // A flood of silent peers takes half the places and then pushes out its own: whoever speaks at once gets in.
        if waiting.count > max(1, settings.maxConnections / 2), let first = waiting.first {
            counters.connectionsRefused += 1
            first.close(Goodbye(.tooManyConnections, "too many connections wait for their Hello, and this one has waited longest"))
        }
        return nil
    }

    /// It said Hello.
    func welcome(_ connection: Connection) { waiting.remove(connection) }

    /// It was sent Goodbye: the peer has a while to read it.
    func farewell(_ connection: Connection) {
        waiting.remove(connection)
        closing.append(connection, now: peerClock.at(clock.now().engineMs))
    }

    func remove(_ connection: Connection) {
        if connection.isClosing { closing.remove(connection) } else { waiting.remove(connection) }
        couriers.remove(connection)
        routes.remove(connection)
        events.remove(connection)
        guard connections.indices.contains(connection.place), connections[connection.place] === connection else { return }
        connections.swapAt(connection.place, connections.count - 1)
        connections[connection.place].place = connection.place
        connections.removeLast()
        guard let user = connection.user else { return }
        user.connections -= 1
        if user.connections == 0 { users[connection.uid] = nil }
    }

    /// Every tick: Hellos and Goodbyes that take too long; half frames and unread output of some of the connections, in turn.
    func cutOffTheLate(now engineMs: UInt64) {
        peerClock.tick(engineMs)
        endTheLate()
        let now = peerClock.at(engineMs)
        for _ in 0..<min(connections.count, connections.count / Bounds.ticksOfSweep + 1) {
            if nextToCheck >= connections.count { nextToCheck = 0 }
            guard nextToCheck < connections.count else { break }
            connections[nextToCheck].checkPace(now: now)
            nextToCheck += 1
        }
    }

    /// Some of those who are late: thousands may be at once, and ending them all would hold up everybody's requests. The others soon.
    func endTheLate() {
        guard !isStopped else { return }
        let now = peerClock.at(clock.now().engineMs)
        var left = Bounds.endsAtOnce
        while left > 0, let late = waiting.late(now: now, after: UInt64(settings.helloMillis)) {
            late.close(Goodbye(.helloTimeout, "no Hello within \(settings.helloMillis) ms"))
            left -= 1
        }
        while left > 0, let late = closing.late(now: now, after: UInt64(Bounds.goodbyeSeconds) * 1_000) {
            closing.remove(late)
            late.cut()
            left -= 1
        }
        if left == 0 { wantsLook = true }
    }
}
