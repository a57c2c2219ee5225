import CLinuxShim
import Engine
import LibCrypto
import SMSText
package import Store
import Wire

/// The way of a request, on one page.
///
/// Everything that one turn of the event loop delivered is decided with one `now` and one block of entropy; what is decided while a batch is
/// being synced, or in this turn, becomes one journal record, is synced once, and only then answered (P2). All of it runs on the one event
/// loop; nothing here waits, but for the inline sync of a small batch.
package final class Batch {
    let engine: Engine
    package let store: Store
    package let clock: EngineClock
    let settings: ServerSettings
    package let couriers: CourierDesk
    let events: EventFeed
    let routes = RouteDesk()
    var counters = Counters()
    /// Set before the first connection; a server without a data folder of its own (the simulation) may go without.
    var poison: PoisonGuard?
    var rates = RequestRates()
    var unfit = UnfitFrames()
    var isDraining = false
    /// The store is closed: the loop's last timers find nothing to do.
    var isStopped = false
    package var onDrain: () -> Void = {}

    /// The frame that is being encoded.
    let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameLimits.maxFrameBytes, alignment: 16)
    /// Who takes part in the next turn because the next request only reads, and who in the next round.
    var readers: [Connection] = []
    var queue: [Connection] = []
    /// What the turn and the round work on, and those whose replies leave: lists with room for all connections from the start, emptied and used
    /// again, because a new one is an allocation.
    private var reading: [Connection] = []
    private var round: [Connection] = []
    /// Connections of the round that have had their part of it.
    private var served = 0
    private var released: [Connection] = []
    /// Connections with replies that wait for the open batch, and for the one that is being synced.
    var holding: [Connection] = []
    var holdingUnderWay: [Connection] = []
    /// Events of the batch that is being synced, and of the one that was.
    private var eventsUnderWay: [EventPush] = []
    private var newEvents: [EventPush] = []
    /// In an order that depends on arrivals and departures alone; each knows its place.
    var connections: [Connection] = []
    var connectionsOfUID: [UInt32: Int] = [:]
    /// Connections without Hello, and those that were sent Goodbye, first come first.
    var waiting = Lineup()
    var closing = Lineup()
    /// What peers' deadlines are counted in.
    var peerClock: PeerClock
    /// The connection that is looked at next for its pace.
    var nextToCheck = 0
    /// The loop gives it a turn when it has looked at its sockets.
    package private(set) var wantsTurn = false
    /// The loop lets it look at what waits in a millisecond: frames without room, and more of those who are late.
    package internal(set) var wantsLook = false
    /// Engine milliseconds since when writes wait for a checkpoint to make room; 0 = they don't.
    var stalledSince: UInt64 = 0
    /// Requests that this turn has decided, of the readers and then of the round.
    private var decidedInTurn = 0
    /// Connections whose next request waits for the sync under way, or for room.
    var stalled: [Connection] = []
    private var entropy = EntropyBlock()
    /// Of an earlier start that still voids challenges.
    private let clockSteppedMs: UInt64

    init(engine: Engine, store: Store, clock: EngineClock, settings: ServerSettings) throws {
        self.engine = engine
        self.store = store
        self.clock = clock
        self.settings = settings
        couriers = CourierDesk(texts: settings.texts)
        events = EventFeed()
        let now = clock.now().engineMs
        peerClock = PeerClock(now: now)
        try couriers.load(from: store, now: now)
        try events.load(from: store)
        var state = StoreState(store: store, now: now)
        clockSteppedMs = engine.clockSteppedMs(&state)
        for list in [\Batch.readers, \.queue, \.reading, \.round, \.released, \.holding, \.holdingUnderWay, \.stalled] {
            self[keyPath: list].reserveCapacity(Bounds.maxConnections)
        }
        eventsUnderWay.reserveCapacity(Bounds.maxBatch)
        newEvents.reserveCapacity(Bounds.maxBatch)
    }

    deinit { frame.deallocate() }

    /// A connection has input, or room for output: it takes part in the next turn.
    func enqueue(_ connection: Connection) {
        guard !connection.isQueued else { return }
        connection.isQueued = true
        if connection.readsNext { readers.append(connection) } else { queue.append(connection) }
        schedule()
    }

    /// A turn comes, after every read that the loop's next look at its sockets delivers.
    func schedule() { wantsTurn = true }

    /// Call when `wantsTurn`, and the sockets were looked at: one client's long pipeline, or subscribers that are behind, mustn't keep
    /// everybody else waiting until they have been served in full. Those who write have a round, of some requests a turn and one record in
    /// all, so that a lookup never waits for all of them.
    package func turn() {
        wantsTurn = false
        guard !isStopped else { return }
        // 1. What this turn works on; callbacks from here on belong to the next, or to the next round.
        swap(&readers, &reading)
        if round.isEmpty { swap(&queue, &round) }
        let first = served
        // 2. One now, one block of entropy.
        let stamp = clock.now()
        let context = context(stamp)
        var state = StoreState(store: store, now: context.now)
        entropy.renew()
        if store.canAccept { stalledSince = 0 }
        // 3. Decide, in order of arrival; replies are encoded into the connections, held or ready.
        decidedInTurn = 0
        for connection in reading { decide(connection, context, &state, readsOnly: true) }
        decidedInTurn = 0
        while served < round.count, decidedInTurn < Bounds.writesInTurn {
            decide(round[served], context, &state)
            served += 1
        }
        // 4. One record, one sync, when the round is over; a batch that is being synced goes first.
        if served == round.count, !store.isCommitting { commit(stamp, context, &state) }
        // 5. Replies leave, then pages of events.
        for connection in reading { connection.flush() }
        reading.removeAll(keepingCapacity: true)
        for connection in round[first..<served] { connection.flush() }
        if served == round.count { endRound() }
        if hasRequests { schedule() }
        if events.sendPages(store, now: context.now) { schedule() }
        couriers.loadMore(from: store, now: context.now)
        if couriers.isLoading { schedule() }
        do { try store.maintain(now: stamp.engineMs) } catch { endProcess("storage", "\(error)") }
    }

    /// Whoever asked is let go of.
    func forgetRequests() {
        readers = []
        queue = []
        endRound()
    }

    private func endRound() {
        round.removeAll(keepingCapacity: true)
        served = 0
    }

    /// Somebody has asked for something that isn't decided.
    var hasRequests: Bool { !readers.isEmpty || !queue.isEmpty || !round.isEmpty }

    /// The open batch goes to the journal, if there is anything in it.
    /// - Parameter follows: a sync has just ended, and its replies leave after this.
    private func commit(
        _ stamp: StoreClock, _ context: BatchContext, _ state: inout StoreState, follows: Bool = false
    ) {
        // Messages that are due, those just created among them, are leased in the same commit; not earlier, because a lease runs already
        // while its push is held.
        couriers.lease(engine, context, &state, &entropy)
        if !store.batchIsEmpty { seal(stamp, follows: follows) }
    }

    /// What is held for the open batch waits from now on for this sync.
    func seal(_ stamp: StoreClock, follows: Bool = false) {
        counters.batches += 1
        swap(&holding, &holdingUnderWay)
        for connection in holdingUnderWay { connection.commitHeld() }
        engine.takeEvents(into: &eventsUnderWay)
        let isLarge = follows || holdingUnderWay.count >= Bounds.largeBatch
        do {
            guard try store.commit(clock: stamp, isLarge: isLarge) == .synced else { return }
        } catch { return endProcess("journal", "\(error)") }
        release()
        tell(now: stamp.engineMs)
        enqueueWaiting()
    }

    /// The journal thread reports an overlapped sync. The batch that was opened meanwhile goes to it before the replies leave, unless a round
    /// still adds to it.
    package func syncEnded() {
        guard !isStopped else { return }
        let stamp = clock.now()
        do {
            try store.finishCommit()
            release()
            let context = context(stamp)
            var state = StoreState(store: store, now: context.now)
            entropy.renew()
            // A checkpoint that waits for a moment without an unsynced batch has it now.
            if store.batchIsEmpty { try store.maintain(now: stamp.engineMs) }
            if round.isEmpty { commit(stamp, context, &state, follows: true) }
            tell(now: stamp.engineMs)
        } catch { return endProcess("journal", "\(error)") }
        // Writes that waited for the sync.
        enqueueWaiting()
        schedule()
    }

    /// The batch is durable: what was held for it may leave.
    private func release() {
        swap(&released, &holdingUnderWay)
        for connection in released { connection.release() }
        if store.batchIsEmpty {
            // Lookups alone are held beyond it, for what they read of it.
            for connection in holding {
                connection.commitHeld()
                connection.release()
            }
            released += holding
            holding.removeAll(keepingCapacity: true)
        }
        swap(&eventsUnderWay, &newEvents)
    }

    /// Replies leave, then the effects.
    private func tell(now: UInt64) {
        for connection in released { connection.flush() }
        released.removeAll(keepingCapacity: true)
        events.push(newEvents)
        newEvents.removeAll(keepingCapacity: true)
        if events.hasHungry || couriers.hasWork(now: now) { schedule() }
    }

    func context(_ stamp: StoreClock) -> BatchContext {
        BatchContext(
            now: stamp.engineMs, wall: stamp.wallMs, epoch: store.epoch, voidBefore: voidBefore,
            sequence: store.nextSequence)
    }

    /// Challenges made before it are void: a clock that went back, at this start or an earlier one.
    package var voidBefore: UInt64 { max(clock.voidBefore, clockSteppedMs) }

    // MARK: one connection's part of a turn

    /// Decides what is whole in the connection's input: up to the in-flight cap, while its output is read; `readsOnly`: up to the first write.
    private func decide(
        _ connection: Connection, _ context: BatchContext, _ state: inout StoreState, readsOnly: Bool = false
    ) {
        connection.isQueued = false
        let bound = readsOnly ? Bounds.maxBatch : Bounds.writesInTurn
        var decided = 0
        while !connection.isClosing, connection.isWritable, !connection.input.isEmpty {
            if decided == Bounds.maxInFlight || decidedInTurn == bound || connection.isFull || (readsOnly && !connection.readsNext) {
                return enqueue(connection)
            }
            if connection.holdsMuch { return stall(connection) }
            let consumed = step(connection, connection.input.bytes, context, &state)
            guard consumed > 0 else { break }
            connection.input.removeFirst(consumed)
            decided += 1
            decidedInTurn += 1
        }
        events.queueForPage(connection)
    }

    /// It takes part again when the sync under way has ended, or there is room.
    private func stall(_ connection: Connection) {
        guard !connection.isStalled else { return }
        stalled.append(connection)
        connection.isStalled = true
    }

    /// One frame; returns its length, or 0 when there is nothing (more) to decide now.
    private func step(
        _ connection: Connection, _ bytes: UnsafeRawBufferPointer, _ context: BatchContext, _ state: inout StoreState
    ) -> Int {
        do throws(WireError) {
            guard let frame = try Frame.next(in: bytes) else {
                connection.hasHalfAFrame(now: peerClock.at(context.now))
                return 0
            }
            guard frame.flags.rawValue == 0 else { throw .badFlags(frame.flags.rawValue) }
            // Whole: what it waits for now is ours.
            connection.frameSinceMs = 0
            state.beginRequest()
            if try dispatch(frame, connection, context, &state, &entropy) {
                counters.requests += 1
                return frame.totalBytes
            }
            // Whoever met a full batch is in the queue for the next one.
            if !connection.isQueued { stall(connection) }
            return 0
        } catch {
            counters.frameErrors += 1
            connection.close(Goodbye(error))
            return 0
        }
    }
}
