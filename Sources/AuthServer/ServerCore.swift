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
        let news: [EventPush.Kind] = poison?.hasNews ?? false ? [.requestQuarantined] : []
        batch.note((clock.voidBefore > 0 ? [.clockStepped] : []) + [.serverStarted] + news)
        return batch
    }
}
