import Glibc
import Wire

/// What can be measured.
enum TargetKind: String, CaseIterable {
    case otpd, floor, echo, redisAlways = "redis-always", redisEverysec = "redis-everysec", postgres

    var title: String {
        switch self {
        case .otpd: "otpd"
        case .floor: "floor (C, one pwrite + fdatasync a turn)"
        case .echo: "floor --echo (no disk)"
        case .redisAlways: "Redis 7, appendfsync always"
        case .redisEverysec: "Redis 7, appendfsync everysec (may lose a second)"
        case .postgres: "PostgreSQL 15, synchronous_commit on"
        }
    }
}

extension TargetKind {
    /// The same in every plot.
    var colour: Int { TargetKind.allCases.firstIndex(of: self) ?? 0 }
}

/// A server under measurement: its process, and a load engine that speaks its protocol.
protocol Target: AnyObject {
    var kind: TargetKind { get }
    /// Of the process whose children, too, are counted.
    var pid: pid_t { get }
    func makeEngine(seed: UInt64, known: [Errand], firstShopper: UInt64) throws -> any LoadRunner
    /// Journal syncs and bytes so far, by its own count; nil = it doesn't say.
    func journal() throws -> (syncs: UInt64, bytes: UInt64)?
    func stop() throws
}

/// How targets are started.
struct TargetOptions {
    var commit = "auto"
    /// Added to each sync of otpd, microseconds.
    var slowSyncMicros = 0
    /// Preload the counters.
    var probe: Probe?
    /// The repository's clients/bench.
    var sources = "clients/bench"
    /// otpd's data and key, prefilled; nil = empty.
    var dataset: String?
}

func start(_ kind: TargetKind, _ options: TargetOptions) throws -> any Target {
    switch kind {
    case .otpd: try OTPDTarget(options)
    case .floor: try FloorTarget(options, echo: false)
    case .echo: try FloorTarget(options, echo: true)
    case .redisAlways: try RedisTarget(options, policy: "always")
    case .redisEverysec: try RedisTarget(options, policy: "everysec")
    case .postgres: try PostgresTarget(options)
    }
}
