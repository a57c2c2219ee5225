import Engine
import Store
import Wire

/// The end of the batch's life, in the order of a stop.
extension Batch {
    /// Closes the store unless a sync is under way; whether it did.
    package func closeIfIdle() throws -> Bool {
        guard isIdle else { return false }
        letGo()
        try store.close(now: clock.now().engineMs)
        return true
    }

    /// Nothing is decided or answered any more; connections that wait hold the batch, which lets go of them.
    package func letGo() {
        isStopped = true
        forgetRequests()
        holding = []
        holdingUnderWay = []
        stalled = []
    }

    /// The last commit and the last frame of every connection.
    package func sayGoodbye() {
        note([OwnEvent(.serverDraining)], store.takesWrites ? rates.takeCounts() : [])
        isDraining = true
        onDrain = {}
        for connection in connections {
            connection.close(Goodbye(.shuttingDown, "the server is stopping; connect again"))
        }
    }
}
