import Engine
import NIOCore
import Store
package import Wire

/// What goes on around the turns: who is connected, what waits for room, the clock's tick, the server's own events.
extension Batch {
    func add(_ connection: Connection) -> Bool {
        guard connections.count < settings.maxConnections, !isDraining else { return false }
        connection.place = connections.count
        connections.append(connection)
        return true
    }

    func remove(_ connection: Connection) {
        if connections.indices.contains(connection.place), connections[connection.place] === connection {
            connections.swapAt(connection.place, connections.count - 1)
            connections[connection.place].place = connection.place
            connections.removeLast()
        }
        couriers.remove(connection)
    }

    /// Every `Bounds.tickMs`: leases that are due, checkpoints by time.
    package func tick() {
        guard !isStopped else { return }
        let now = clock.now().engineMs
        do { try store.maintain(now: now) } catch { return endProcess("storage", "\(error)") }
        if couriers.hasWork(now: now) { schedule() }
    }

    /// Frames that were left undecided are looked at again.
    func enqueueWaiting() {
        for connection in connections where connection.input.readableBytes > 0 { enqueue(connection) }
    }

    /// A full batch: the next turn takes the request. A full overlay: admission slows to the checkpoint's speed, for a while.
    func waitsForRoom(_ connection: Connection, _ now: UInt64) -> Bool {
        if !store.batchIsEmpty {
            enqueue(connection)
            return true
        }
        guard store.makesRoom else { return false }
        if stalledSince == 0 {
            stalledSince = now
            counters.stalls += 1
        }
        guard now < stalledSince + Bounds.stallMs else { return false }
        guard !looksAgain else { return true }
        looksAgain = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(1)) {
            bound.value.looksAgain = false
            bound.value.enqueueWaiting()
        }
        return true
    }

    /// Nothing waits: no turn, no sync, no held reply.
    package var isIdle: Bool { queue.isEmpty && !turnIsScheduled && !store.isCommitting && holding.isEmpty }

    /// Events of the server itself, in a commit of their own.
    package func note(_ kinds: [EventPush.Kind]) {
        guard !store.isCommitting else { return }
        let stamp = clock.now()
        let context = context(stamp)
        var state = StoreState(store: store, now: context.now)
        engine.beginBatch()
        for kind in kinds { engine.note(kind, context: context, state: &state) }
        do {
            if try store.commit(clock: stamp) == .synced { finished(context) }
        } catch { endProcess("journal", "\(error)") }
    }
}
