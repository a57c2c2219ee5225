package import Engine
package import LibCrypto
package import NIOCore
package import Store
import Wire

/// What a server stands on: the recovered store, its clock and its rules. Made on any thread; the batch on them is made on the loop.
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

    /// The batch, woken by the store's jobs, its start noted in a first commit. On the loop.
    /// - Parameter poison: of a real server; none where the data folder isn't on a real disk.
    package func makeBatch(on loop: any EventLoop, poison: PoisonGuard? = nil) throws -> Batch {
        let batch = try Batch(engine: engine, store: store, clock: clock, settings: settings, loop: loop)
        let bound = NIOLoopBound(batch, eventLoop: loop)
        store.onSynced = { loop.execute { bound.value.syncEnded() } }
        store.onCheckpointDone = { loop.execute { bound.value.tick() } }
        batch.poison = poison
        let news: [EventPush.Kind] = poison?.hasNews ?? false ? [.requestQuarantined] : []
        batch.note((clock.voidBefore > 0 ? [.clockStepped] : []) + [.serverStarted] + news)
        return batch
    }
}
