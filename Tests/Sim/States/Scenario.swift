import Store

/// A way of using the store whose crash states are explored.
enum Scenario: String, CaseIterable {
    /// The data folder is made, opened, and takes its first batches.
    case first
    /// Batches synced by the loop itself, checkpoints, starts.
    case inline
    /// Batches synced apart, checkpoints between and during them.
    case overlapped
    /// Records of one length in recycled segments: each new one stands exactly where an old one stood.
    case recycled
    /// A small overlay, so that a start must fold what it replays.
    case crowded
    /// A disk that is full for a while during checkpoints.
    case full

    static let tables = [
        TableSpec(id: 0, name: "timed", keyBytes: 16, order: .time),
        TableSpec(id: 1, name: "scattered", keyBytes: 17, order: .random),
        TableSpec(id: 2, name: "kept", keyBytes: 14, order: .random),
    ]

    /// Tiny sizes, so that segments roll and states are cheap to make.
    func options(path: String, dice: inout Dice) -> StoreOptions {
        var options = StoreOptions(path: path, tables: Scenario.tables)
        options.mapBytes = 16 << 20
        options.overlayBytes = 1 << 20
        options.overlayRecords = self == .crowded ? 80 : 1_024
        options.segmentBytes = self == .recycled ? 4_096 : 4_096 << dice.below(2)
        options.commit =
            switch self {
            case .overlapped: .overlapped
            case .first, .recycled, .crowded, .full: dice.oneIn(2) ? .inline : .overlapped
            case .inline: .inline
            }
        // Due as soon as there is a change: the workload says when it looks.
        options.checkpointMs = 0
        options.runsJobsByHand = true
        return options
    }

    /// Steps of a run.
    var steps: Int { self == .first ? 3 : 60 }
}
