package import Engine
import Store
import Wire

/// What goes on around the turns: what waits for room, the clock's tick, the server's own events.
extension Batch {
    /// Every `Bounds.tickMs`: leases that are due, checkpoints by time, peers that are late.
    package func tick() {
        guard !isStopped else { return }
        let now = clock.now().engineMs
        do { try store.maintain(now: now) } catch { return endProcess("storage", "\(error)") }
        watch.look(store.statistics, now: now)
        if couriers.hasWork(now: now) || couriers.isLoading { schedule() }
        noteCounts(now: now)
        noteTime(now: now)
        cutOffTheLate(now: now)
    }

    /// Frames that were left undecided are looked at again: those alone, not the halves of frames of thousands of slow peers.
    func enqueueWaiting() {
        for connection in stalled {
            connection.isStalled = false
            if !connection.isClosing { enqueue(connection) }
        }
        stalled.removeAll(keepingCapacity: true)
    }

    /// A full batch: the next turn takes the request. A full overlay: admission slows to the checkpoint's speed, for a while.
    func waitsForRoom(_ connection: Connection, _ now: UInt64) -> Bool {
        if store.isCommitting { return true }
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
        wantsLook = true
        return true
    }

    /// A millisecond after `wantsLook`.
    package func lookAgain() {
        wantsLook = false
        enqueueWaiting()
        endTheLate()
    }

    /// The store's threads report.
    package func take(_ signal: Signal) {
        switch signal {
        case .synced: syncEnded()
        case .checkpointed: tick()
        }
    }

    /// Nothing waits: no turn, no sync, no held reply.
    package var isIdle: Bool { !hasRequests && !wantsTurn && !store.isCommitting && holding.isEmpty && holdingUnderWay.isEmpty }

    /// Events of the server itself, and counts of refusals, in the open batch; while a checkpoint makes its pause, nothing is noted.
    package func note(_ events: [OwnEvent], _ counts: [RequestRates.Count] = []) {
        guard store.takesWrites, events.isEmpty && counts.isEmpty ? store.canCommit : store.canAccept else { return }
        let stamp = clock.now()
        let context = context(stamp)
        var state = StoreState(store: store, now: context.now)
        engine.note(counts, context: context, state: &state)
        for event in events { engine.note(event.kind, count: event.count, context: context, state: &state) }
        if !store.isCommitting { seal(stamp) }
    }

    /// A minute after the first refusal that had no event of its own.
    private func noteCounts(now: UInt64) {
        guard rates.countsAreDue(now: now), store.canAccept else { return }
        note([], rates.takeCounts())
    }

    /// Nobody writes: an empty record tells the journal the time, so that what is over leaves the disk, and another boot knows it.
    private func noteTime(now: UInt64) {
        guard now >= store.lastCommitMs + Bounds.idleClockMs, store.canCommit else { return }
        note([])
    }

    /// Requests for codes within their rate are decided; a refusal that nobody is told of one by one is counted. Lookups never write, so theirs
    /// always are; Quota's are answers.
    func decideWithinRate(
        _ request: Request, _ caller: Caller, _ context: BatchContext, _ entropy: Entropy, _ state: inout StoreState
    ) -> Reply {
        guard let keys = engine.rateKeys(request, caller) else {
            let reply = engine.decide(request, caller: caller, context: context, entropy: entropy, state: &state)
            if case .refused(let refusal) = reply, request.isLookOfATry {
                rates.count(tenant: caller.tenant, status: refusal.statusCode, limit: refusal.limitCode, now: context.now)
            }
            return reply
        }
        var caller = caller
        switch rates.admit(keys, now: context.now) {
        case .passes: break
        case .counted: caller.isCounted = true
        case .refused(let refusal): return .refused(engine.lasting(refusal, of: request, now: context.now))
        }
        let reply = engine.decide(request, caller: caller, context: context, entropy: entropy, state: &state)
        if case .refused(let refusal) = reply, refusal.status?.isTold ?? false {
            rates.refused(keys, refusal, isCounted: caller.isCounted, now: context.now)
        }
        return reply
    }
}
