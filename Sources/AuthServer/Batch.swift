import CLinuxShim
import Engine
import LibCrypto
import NIOCore
import SMSText
package import Store
import Wire

/// The way of a request, on one page.
///
/// Everything that one turn of the event loop delivered is decided with one `now` and one block of entropy, becomes one journal record, is
/// synced once, and only then answered (P2). All of it runs on the one event loop; nothing here waits, but for the inline sync.
package final class Batch {
    let engine: Engine
    package let store: Store
    package let clock: EngineClock
    let settings: ServerSettings
    package let couriers: CourierDesk
    let events: EventFeed
    var counters = Counters()
    /// Set before the first connection; a server without a data folder of its own (the simulation) may go without.
    var poison: PoisonGuard?
    var rates = RequestRates()
    var isDraining = false
    /// The store is closed: the loop's last timers find nothing to do.
    var isStopped = false
    package var onDrain: () -> Void = {}

    let loop: any EventLoop
    var queue: [Connection] = []
    /// Connections whose replies wait for the sync.
    var holding: [Connection] = []
    /// In an order that depends on arrivals and departures alone; each knows its place.
    var connections: [Connection] = []
    var connectionsOfUID: [UInt32: Int] = [:]
    /// Connections without Hello, and those that were sent Goodbye, first come first.
    var waiting = Lineup()
    var closing = Lineup()
    /// What peers' deadlines are counted in.
    var peerClock: PeerClock
    /// A timer will end more of those who are late.
    var endsMore = false
    /// The connection that is looked at next for its pace.
    var nextToCheck = 0
    /// Sockets of peers, refused ones too until they are closed, and how many there may be.
    var openChannels = 0
    var maxChannels = Int.max
    package private(set) var turnIsScheduled = false
    private var isInTurn = false
    /// Engine milliseconds since when writes wait for a checkpoint to make room; 0 = they don't.
    var stalledSince: UInt64 = 0
    /// A timer will look at the waiting frames again.
    var looksAgain = false
    /// Requests that this turn has decided.
    private var decidedInTurn = 0
    /// Connections whose next request waits for the sync under way, or for room.
    var stalled: [Connection] = []
    private var entropy = EntropyBlock()

    init(engine: Engine, store: Store, clock: EngineClock, settings: ServerSettings, loop: any EventLoop) throws {
        self.engine = engine
        self.store = store
        self.clock = clock
        self.settings = settings
        self.loop = loop
        couriers = CourierDesk(texts: settings.texts)
        events = EventFeed()
        let now = clock.now().engineMs
        peerClock = PeerClock(now: now)
        try couriers.load(from: store, now: now)
        try events.load(from: store, now: now)
    }

    /// A connection has input, or room for output: it takes part in the next turn.
    func enqueue(_ connection: Connection) {
        guard !connection.isQueued else { return }
        connection.isQueued = true
        queue.append(connection)
        schedule()
    }

    /// One commit task a turn: it runs after every read that this turn of the loop delivers.
    ///
    /// A turn that leaves work behind yields to the sockets first: NIO runs tasks that tasks make before it looks at them, so that one
    /// client's long pipeline, or subscribers that are behind, would keep everybody else waiting until they have been served in full.
    func schedule() {
        guard !turnIsScheduled else { return }
        turnIsScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        guard isInTurn else { return loop.execute { bound.value.turn() } }
        loop.scheduleTask(in: .microseconds(Bounds.yieldMicros)) { bound.value.turn() }
    }

    private func turn() {
        turnIsScheduled = false
        isInTurn = true
        defer { isInTurn = false }
        guard !isStopped else { return }
        // 1. What this turn works on; callbacks from here on belong to the next.
        let working = queue
        queue.removeAll(keepingCapacity: true)
        // 2. One now, one block of entropy.
        let stamp = clock.now()
        let context = context(stamp)
        var state = StoreState(store: store, now: context.now)
        entropy.renew()
        decidedInTurn = 0
        if store.canAccept { stalledSince = 0 }
        if !store.isCommitting { engine.beginBatch() }
        // 3. Decide, in order of arrival; replies are encoded into the connections, held or ready.
        for connection in working {
            connection.isQueued = false
            decide(connection, context, &state)
        }
        // 4. Messages that are due, those just created among them, are leased in the same commit.
        if !store.isCommitting { couriers.lease(engine, context, &state, &entropy) }
        // 5. One record, one sync.
        if !store.batchIsEmpty, !store.isCommitting {
            counters.batches += 1
            do {
                if try store.commit(clock: stamp) == .synced { finished(context) }
            } catch { return endProcess("journal", "\(error)") }
        }
        // 6. Replies leave, then pages of events.
        for connection in working { connection.flush() }
        if events.sendPages(store, now: context.now) { schedule() }
        do { try store.maintain(now: stamp.engineMs) } catch { endProcess("storage", "\(error)") }
    }

    /// The batch is durable: what was held leaves, then the effects.
    func finished(_ context: BatchContext) {
        let released = holding
        holding.removeAll(keepingCapacity: true)
        for connection in released { connection.release() }
        for connection in released { connection.flush() }
        events.push(engine.events)
        if couriers.hasWork(now: context.now) { schedule() }
        if isDraining { onDrain() }
    }

    /// The journal thread reports an overlapped sync.
    package func syncEnded() {
        guard !isStopped else { return }
        do { try store.finishCommit() } catch { return endProcess("journal", "\(error)") }
        finished(context(clock.now()))
        // Writes that waited for the sync.
        enqueueWaiting()
        schedule()
    }

    func context(_ stamp: StoreClock) -> BatchContext {
        BatchContext(
            now: stamp.engineMs, wall: stamp.wallMs, epoch: store.epoch, voidBefore: voidBefore,
            sequence: store.nextSequence)
    }

    /// Challenges made before it are void: a clock that went back, at this start or an earlier one.
    package var voidBefore: UInt64 { max(clock.voidBefore, events.clockSteppedMs) }

    // MARK: one connection's part of a turn

    /// Decides what is whole in the connection's input: up to the in-flight cap, while its output is read.
    private func decide(_ connection: Connection, _ context: BatchContext, _ state: inout StoreState) {
        var decided = 0
        while !connection.isClosing, connection.isWritable, connection.input.readableBytes > 0 {
            if decided == Bounds.maxInFlight || decidedInTurn == Bounds.maxBatch || connection.isFull {
                return enqueue(connection)
            }
            var consumed = 0
            connection.input.withUnsafeReadableBytes { bytes in
                consumed = step(connection, bytes, context, &state)
            }
            guard consumed > 0 else { break }
            connection.frameSinceMs = 0
            connection.input.moveReaderIndex(forwardBy: consumed)
            decided += 1
            decidedInTurn += 1
        }
        connection.input.discardReadBytes()
        events.queueForPage(connection)
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
            counters.requests += 1
            state.beginRequest()
            if try dispatch(frame, connection, context, &state, &entropy) { return frame.totalBytes }
            // Whoever met a full batch is in the queue for the next one.
            guard !connection.isQueued, !connection.isStalled else { return 0 }
            stalled.append(connection)
            connection.isStalled = true
            return 0
        } catch {
            counters.frameErrors += 1
            connection.close(Goodbye(error))
            return 0
        }
    }
}
