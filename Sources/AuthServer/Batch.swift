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
    var refusedPeers = RefusedPeers()
    var watch = StoreWatch()
    var isDraining = false
    /// The store is closed: the loop's last timers find nothing to do.
    var isStopped = false
    package var onDrain: () -> Void = {}

    /// The frame that is being encoded.
    let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameLimits.maxFrameBytes, alignment: 16)
    /// Whose next request only reads: each turn is a round of theirs. And all others, whose rounds take some turns and
    /// end in one record.
    var readers = FairQueue(
        visit: Bounds.maxInFlight, part: Bounds.maxInFlight, shareAlone: Bounds.lookupsInTurn,
        shareInCompany: Bounds.lookupsInTurn)
    var writers = FairQueue(
        visit: Bounds.writesInTurn, part: Bounds.maxInFlight, shareAlone: Bounds.maxBatch,
        shareInCompany: Bounds.writesInCompany)
    /// Rounds that have begun.
    private var rounds: UInt64 = 0
    /// The writers' round goes on in the next turn.
    private var isInRound = false
    /// Whom the turn has served, and those whose replies leave: lists with room for all connections from the start, emptied and used again,
    /// because a new one is an allocation.
    private var served: [Connection] = []
    private var released: [Connection] = []
    /// Connections with replies that wait for the open batch, and for the one that is being synced.
    var holding: [Connection] = []
    var holdingUnderWay: [Connection] = []
    /// Events of the batch that is being synced, and of the one that was.
    private var eventsUnderWay: [EventPush] = []
    private var newEvents: [EventPush] = []
    /// In an order that depends on arrivals and departures alone; each knows its place.
    var connections: [Connection] = []
    /// By uid, those who have some of them.
    var users: [UInt32: User] = [:]
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
        couriers = CourierDesk(settings)
        events = EventFeed()
        let now = clock.now().engineMs
        peerClock = PeerClock(now: now)
        try couriers.load(from: store, now: now)
        try events.load(from: store)
        var state = StoreState(store: store, now: now)
        clockSteppedMs = engine.clockSteppedMs(&state)
        for list in [\Batch.served, \.released, \.holding, \.holdingUnderWay, \.stalled] {
            self[keyPath: list].reserveCapacity(Bounds.maxConnections)
        }
        eventsUnderWay.reserveCapacity(Bounds.maxBatch)
        newEvents.reserveCapacity(Bounds.maxBatch)
    }

    deinit { frame.deallocate() }

    /// A connection has input, or room for output: it takes part in the next turn.
    func enqueue(_ connection: Connection) {
        guard !connection.isQueued, let user = connection.user else { return }
        if connection.readsNext {
            readers.append(connection, to: user.lookups)
        } else {
            writers.append(connection, to: user.writes)
        }
        schedule()
    }

    /// A turn comes, after every read that the loop's next look at its sockets delivers.
    func schedule() { wantsTurn = true }

    /// Call when `wantsTurn`, and the sockets were looked at: one client's long pipeline, or subscribers that are behind, mustn't keep
    /// everybody else waiting until they have been served in full. Those who write have a round, of some requests a turn and one record in
    /// all, so that a lookup never waits for all of them. Users take turns in both (`FairQueue`).
    package func turn() {
        wantsTurn = false
        guard !isStopped else { return }
        // 1. One now, one block of entropy.
        let stamp = clock.now()
        let context = context(stamp)
        var state = StoreState(store: store, now: context.now)
        entropy.renew()
        if store.canAccept { stalledSince = 0 }
        // 2. Decide: lookups, then some of the writers' round; replies are encoded into connections, held or ready.
        beginRounds()
        var left = Bounds.lookupsInTurn
        while left > 0, let connection = readers.next() {
            let decided = decide(connection, upTo: Bounds.maxInFlight, context, &state, readsOnly: true)
            left -= readers.charge(connection, decided)
            served.append(connection)
        }
        left = Bounds.writesInTurn
        while left > 0, !isFull, let connection = writers.next() {
            let decided = decide(connection, upTo: Bounds.writesInTurn, context, &state)
            left -= writers.charge(connection, decided)
            served.append(connection)
        }
        isInRound = !writers.isOver() && !isFull
        // 3. One record, one sync, when the round is over; a batch that is being synced goes first.
        if !isInRound, !store.isCommitting { commit(stamp, context, &state) }
        // 4. Replies leave, then pages of events.
        for connection in served { connection.flush() }
        served.removeAll(keepingCapacity: true)
        if hasRequests { schedule() }
        if events.sendPages(store, now: context.now) { schedule() }
        couriers.loadMore(from: store, now: context.now)
        if couriers.isLoading { schedule() }
        do { try store.maintain(now: stamp.engineMs) } catch { endProcess("storage", "\(error)") }
    }

    private func beginRounds() {
        rounds += 1
        readers.begin(rounds)
        guard !isInRound else { return }
        rounds += 1
        writers.begin(rounds)
    }

    /// The open batch takes no more, and nothing keeps it from being sealed: who waits keeps the place for the next.
    private var isFull: Bool { !store.canAccept && !store.batchIsEmpty && !store.isCommitting }

    /// Whoever asked is let go of.
    func forgetRequests() {
        readers.removeAll()
        writers.removeAll()
        isInRound = false
    }

    /// Somebody has asked for something that isn't decided.
    var hasRequests: Bool { !readers.isEmpty || !writers.isEmpty }

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
            if !isInRound { commit(stamp, context, &state, follows: true) }
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

    /// Decides what is whole in the connection's input, `bound` requests at most, while its output is read;
    /// `readsOnly`: up to the first write. Returns how many.
    private func decide(
        _ connection: Connection, upTo bound: Int, _ context: BatchContext, _ state: inout StoreState,
        readsOnly: Bool = false
    ) -> Int {
        var decided = 0
        while !connection.isClosing, connection.isWritable, !connection.input.isEmpty {
            if decided == bound || connection.isFull || (readsOnly && !connection.readsNext) {
                enqueue(connection)
                return decided
            }
            if connection.holdsMuch {
                stall(connection)
                return decided
            }
            let consumed = step(connection, connection.input.bytes, context, &state)
            guard consumed > 0 else { break }
            connection.input.removeFirst(consumed)
            decided += 1
        }
        events.queueForPage(connection)
        return decided
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
