/// One table: an LMDB database and its part of the overlay.
public struct TableSpec: Sendable {
    /// How keys are ordered, and so how expired records are found.
    public enum Order: Sendable {
        /// Keys rise with time: expired records are at the head.
        case time
        /// Keys are random: a clock hand passes over all within a day, and writes look at their neighbours.
        case random
    }

    /// Stable number, 0..<32.
    public var id: UInt8
    /// The name of the LMDB database.
    public var name: String
    /// Every key has this width, 8–24.
    public var keyBytes: Int
    /// How it expires.
    public var order: Order
    /// Of a time-ordered table: beyond so many rows the oldest go before their time.
    public var maxRows: Int

    /// Of one time-ordered table at most: a key is above every former one and is written once. Pages of it are quick.
    public var isRising: Bool

    /// All six.
    public init(
        id: UInt8, name: String, keyBytes: Int, order: Order, maxRows: Int = .max, isRising: Bool = false
    ) {
        self.id = id
        self.name = name
        self.keyBytes = keyBytes
        self.order = order
        self.maxRows = maxRows
        self.isRising = isRising
    }
}

/// When and how a batch becomes durable.
public enum CommitMode: String, Sendable, CaseIterable {
    /// By the median sync, at start and again while it runs: adaptive below 500 µs, else overlapped.
    case auto
    /// A small batch is synced by the loop itself, a large one as in `overlapped`.
    case adaptive
    /// The loop itself syncs.
    case inline
    /// A journal thread syncs while the loop decides the next batch.
    case overlapped
}

/// The times that every journal record carries.
public struct StoreClock: Sendable, Equatable {
    /// Of this boot of the machine.
    public var bootID: (UInt64, UInt64)
    /// CLOCK_BOOTTIME, milliseconds.
    public var boottimeMs: UInt64
    /// Engine time, milliseconds.
    public var engineMs: UInt64
    /// Wall clock, Unix milliseconds.
    public var wallMs: UInt64

    /// All four.
    public init(bootID: (UInt64, UInt64), boottimeMs: UInt64, engineMs: UInt64, wallMs: UInt64) {
        self.bootID = bootID
        self.boottimeMs = boottimeMs
        self.engineMs = engineMs
        self.wallMs = wallMs
    }

    /// Field by field.
    public static func == (a: StoreClock, b: StoreClock) -> Bool {
        a.bootID == b.bootID && a.boottimeMs == b.boottimeMs && a.engineMs == b.engineMs && a.wallMs == b.wallMs
    }
}

/// Sizes and choices of one store.
public struct StoreOptions: Sendable {
    /// The data folder.
    public var path: String
    /// All tables, in the order of their ids.
    public var tables: [TableSpec]
    /// Address space for LMDB, and the most that its file grows to, as needed. Never resized while open. Half a billion accounts.
    public var mapBytes = 256 << 30
    /// Records of one overlay; there are two.
    public var overlayRecords = 131_072
    /// Bytes of keys and values of one overlay.
    public var overlayBytes = 48 << 20
    /// Bytes of a journal segment, preallocated.
    public var segmentBytes = 32 << 20
    /// How batches are synced.
    public var commit = CommitMode.auto
    /// Milliseconds between checkpoints while there are changes.
    public var checkpointMs: UInt64 = 1_000
    /// Records changed at which a checkpoint is due: more would make it, and what it holds up, longer. A bulk load wants it large.
    package var checkpointRecords = 32_768
    /// A start goes on without acknowledged requests that are gone, once, instead of being refused.
    public var acceptLostRequests = false
    /// Data keys in the keyring from which a start drops those that no row needs.
    package var pruneKeysFrom = Keyring.pruneFrom
    /// For the simulation: jobs wait for `runJournalJob` and `runCheckpointJob`, and no thread is made.
    package var runsJobsByHand = false
    /// For the simulation: its disk sees what the crash note says.
    package var mirrorsCrashNote = false

    /// Defaults for a server.
    public init(path: String, tables: [TableSpec]) {
        self.path = path
        self.tables = tables
    }
}

/// What a read found.
public struct ReadResult: Sendable, Equatable {
    /// Bytes of the value; -1 = no live record.
    public var length: Int
    /// The journal sequence that wrote or deleted the record; 0 = long since durable. A reply that depends on it waits for it.
    public var sequence: UInt64
    /// The store's epoch when it was written.
    public var epoch: UInt32
    /// When it ends, engine milliseconds; 0 = never.
    public var expiresAt: UInt64

    static let absent = ReadResult(length: -1, sequence: 0, epoch: 0, expiresAt: 0)
}

/// What start-up found in the journal.
public struct RecoveryReport: Sendable {
    /// Records replayed since the last checkpoint.
    public var replayed = 0
    /// Whether a torn, never acknowledged record was dropped.
    public var droppedTornTail = false
    /// What this start has given up, by `StoreOptions.acceptLostRequests`; `nil`: nothing was missing.
    public var loss: Loss?
    /// Batches that were given up, by this start or an earlier one whose first record never became durable; 0 = none. It is for an event.
    public var lostBatches: UInt64 = 0
    /// The last record, which was written again in place and synced; 0 = nothing was replayed.
    public var resyncedSequence: UInt64 = 0
    /// The last record's times; `nil` for a new folder.
    public var lastClock: StoreClock?
    /// The last record's epoch; 0 for a new folder.
    var lastEpoch: UInt32 = 0

    /// Acknowledged requests that are gone.
    public struct Loss: Sendable, Equatable {
        /// Journal records, each a batch of requests, that are missing at least.
        public var batches: UInt64
        /// Which file, and how it shows.
        public var text: String
    }
}

/// Counters and gauges for the operator.
public struct StoreStatistics: Sendable {
    public var commits: UInt64 = 0
    /// Written to the journal, padding included.
    public var journalBytes: UInt64 = 0
    public var syncNanos: UInt64 = 0
    public var checkpoints: UInt64 = 0
    public var checkpointRetries: UInt64 = 0
    public var overlayRecords = 0
    public var overlayBytes = 0
    /// Nanoseconds of the newest checkpoint, and of all.
    public var checkpointNanos: UInt64 = 0
    public var checkpointTotalNanos: UInt64 = 0
    /// Expired rows that checkpoints took out.
    public var sweptRows: UInt64 = 0
    /// Data keys that no row needed any more.
    public var droppedKeys: UInt64 = 0
    public var freeBytes: UInt64 = 0
    /// After the newest checkpoint.
    public var file = FileGauges()
    /// Bytes of the database that hold something; what was freed is as good as new.
    public var usedBytes: Int { Int(file.usedPages) * 4096 }
    /// Bytes that the database may grow to.
    public var mapBytes: Int { Int(file.mapPages) * 4096 }

    /// Nothing counted yet.
    public init() {}
}
