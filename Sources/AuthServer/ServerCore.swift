package import Engine
package import LibCrypto
package import Store
import Wire

/// What a server stands on: the recovered store, its clock and its rules. Made on any thread, and so is the batch on them, until the loop takes it.
package struct ServerCore {
    package let store: Store
    package let clock: EngineClock
    package let engine: Engine
    let settings: ServerSettings

    /// Opens the data folder and recovers.
    package init(_ settings: ServerSettings, master: borrowing SecretBytes) throws {
        var options = StoreOptions(path: settings.dataPath, tables: StoreState.tables)
        options.commit = settings.commit
        options.segmentBytes = settings.segmentBytes
        options.overlayBytes = settings.overlayBytes
        options.overlayRecords = settings.overlayRecords
        options.mapBytes = settings.mapBytes
        options.runsJobsByHand = settings.runsJobsByHand
        options.mirrorsCrashNote = settings.runsJobsByHand
        options.acceptLostRequests = settings.acceptLostRequests
        store = try Store(opening: options, master: master)
        clock = try EngineClock(
            last: store.recovery.lastClock, acceptClock: settings.acceptClock, source: try settings.clockSource())
        engine = Engine(tenants: settings.tenants, keys: EngineKeys(master: master))
        self.settings = settings
    }

    /// The batch, its start noted in a first commit.
    /// - Parameters:
    ///   - poison: of a real server; none where the data folder isn't on a real disk.
    ///   - signal: called on the store's threads; the batch then takes the signal on its own.
    package func makeBatch(poison: PoisonGuard? = nil, signal: @escaping @Sendable (Signal) -> Void) throws -> Batch {
        let batch = try Batch(engine: engine, store: store, clock: clock, settings: settings)
        store.onSynced = { signal(.synced) }
        store.onCheckpointDone = { signal(.checkpointed) }
        batch.poison = poison
        var news: [OwnEvent] = clock.voidBefore > 0 ? [OwnEvent(.clockStepped)] : []
        // A start that is cut off before its first record is durable is followed by one that finds the same.
        if store.recovery.droppedTornTail { news.append(OwnEvent(.tornTailDropped)) }
        if store.recovery.lostBatches > 0 { news.append(OwnEvent(.requestsLost, count: store.recovery.lostBatches)) }
        news.append(OwnEvent(.serverStarted))
        if poison?.hasNews ?? false { news.append(OwnEvent(.requestQuarantined)) }
        batch.note(news)
        return batch
    }
}
