import Store

/// What of the database's file an operator should know long before it refuses anything: said when it begins, and again each hour that it
/// goes on.
struct StoreWatch {
    /// Of the map, in hundredths: half. At 75 new challenges are refused, at 95 every write (`Store.canAcceptSends`, `Store.canAccept`).
    static let mapPercent = 50
    /// Transactions that a reader may be behind: at one or more a second, some minutes.
    static let readerLag: UInt64 = 1_000
    /// Bytes of the disk, eight times what new challenges need.
    static let freeBytes = Store.freeBytesForSends * 8
    static let againMs: UInt64 = 3_600_000

    /// Where the operator reads it; set by the server.
    var remark: (String) -> Void = { _ in }
    /// By kind of remark: when it was said last.
    private var saidAt: [UInt64?] = [nil, nil, nil]
    private var checkpoints: UInt64 = .max

    /// Once a tick; looks after each checkpoint, and at the first.
    mutating func look(_ statistics: StoreStatistics, now: UInt64) {
        guard statistics.checkpoints != checkpoints else { return }
        checkpoints = statistics.checkpoints
        for (kind, text) in StoreWatch.texts(statistics).enumerated() {
            guard let text else {
                saidAt[kind] = nil
                continue
            }
            if let at = saidAt[kind], now < at + StoreWatch.againMs { continue }
            saidAt[kind] = now
            remark(text)
        }
    }

    /// One of each kind; `nil` = all is well.
    static func texts(_ s: StoreStatistics) -> [String?] {
        [mapText(s), readerText(s), diskText(s)]
    }

    private static func mapText(_ s: StoreStatistics) -> String? {
        guard s.usedBytes * 100 >= s.mapBytes * mapPercent else { return nil }
        return "the database holds \(mib(s.usedBytes)) MiB of the \(mib(s.mapBytes)) that it may grow to: at 75 % new challenges are refused, at "
            + "95 % every write. Raise `map_gib` in the configuration and start again; it takes no disk until it is used"
    }

    private static func readerText(_ s: StoreStatistics) -> String? {
        guard s.file.readerLag >= readerLag else { return nil }
        return "process \(s.file.oldestReaderPID) has been reading the database for \(s.file.readerLag) transactions: what was freed since can't be "
            + "used again, and the file grows. If it is a forgotten mdb_copy or backup, end it"
    }

    private static func diskText(_ s: StoreStatistics) -> String? {
        guard s.freeBytes < freeBytes else { return nil }
        return "the data folder's disk has \(s.freeBytes >> 20) MiB left: below \(Store.freeBytesForSends >> 20) no new challenges are taken. Make room, "
            + "or move the folder to a larger disk while otpd is stopped"
    }

    private static func mib(_ bytes: Int) -> Int { bytes >> 20 }
}
