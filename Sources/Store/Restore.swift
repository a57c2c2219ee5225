import CLinuxShim
import Glibc
public import LibCrypto

/// Makes a data folder of a backup, or of a plain copy of a stopped folder, under an epoch that no folder had
/// before: whatever challenge or grant was open when the copy was made is void, because what has become of it
/// since isn't known.
public struct Restore {
    /// What a server will find.
    public struct Report: Sendable {
        /// The copy's epoch and the new one.
        public var oldEpoch: UInt32
        public var epoch: UInt32
        /// Of the newest journal record; 0 = there is none.
        public var sequence: UInt64
        /// Its times; `nil` = there is none.
        public var clock: StoreClock?
        /// Stored rows by table, in the order of the tables, expired ones included.
        public var rows: [UInt64]
        /// A torn record at the journal's end was dropped.
        public var droppedTornTail: Bool
        /// Batches that the copied folder's crash note knows to have been acknowledged, and its journal doesn't hold.
        public var lostBatches: UInt64 = 0
        public var bytes: Int
    }

    private let source: String
    private let options: StoreOptions

    /// - Parameters:
    ///   - source: the backup's folder, or a data folder that no otpd serves.
    ///   - options: of the folder to make: its path, not there or empty; its tables.
    public init(from source: String, options: StoreOptions) {
        self.source = source
        self.options = options
    }

    /// Copies, checks, raises the epoch, opens the folder once, closes it, and gives it its name. After an
    /// error nothing of it is left.
    /// - Parameters:
    ///   - wallMs: now, Unix milliseconds.
    ///   - isCancelled: asked often; true ends it with `cancelled`.
    ///   - progress: bytes copied, and of all.
    @discardableResult
    public func run(
        master: borrowing SecretBytes, wallMs: UInt64, isCancelled: @escaping () -> Bool = { false },
        progress: @escaping (Int, Int) -> Void = { _, _ in }
    ) throws(StoreError) -> Report {
        let isBackup = BackupFiles.isBackup(source)
        if isBackup { try BackupFiles.check(source) } else { _ = try DataFolder.readFormat(source) }
        // Nobody serves a backup. A data folder's lock is held to the end of the copy.
        let lock = isBackup ? nil : HeldLock(try DataFolder.Lock(source))
        defer { withExtendedLifetime(lock) {} }
        try BackupFiles.refuseNesting(of: options.path, in: source)
        let staging = try StagingFolder(for: options.path)
        do throws(StoreError) {
            let (bytes, oldEpoch, epoch) = try fill(staging, isBackup, wallMs, isCancelled, progress)
            if isCancelled() { throw .cancelled(path: options.path) }
            var report = try open(
                staging, master,
                Report(
                    oldEpoch: oldEpoch, epoch: epoch, sequence: 0, clock: nil, rows: [],
                    droppedTornTail: false, bytes: bytes))
            let bound = isBackup ? nil : try CrashNote.bound(in: source, uuid: DataFolder.readFormat(source))
            if let bound, bound.epoch == oldEpoch, bound.sequence > report.sequence {
                report.lostBatches = bound.sequence - report.sequence
            }
            // The next restore of the same copy gets another epoch.
            while linux_realtime_nanos() / 1_000_000_000 == UInt64(epoch) { usleep(10_000) }
            try staging.publish()
            return report
        } catch {
            staging.discard()
            if case .cancelled = error { throw .cancelled(path: options.path) }
            throw error
        }
    }

    private final class HeldLock {
        private let lock: DataFolder.Lock
        init(_ lock: consuming DataFolder.Lock) { self.lock = lock }
    }

    private func fill(
        _ staging: StagingFolder, _ isBackup: Bool, _ wallMs: UInt64, _ isCancelled: @escaping () -> Bool,
        _ progress: @escaping (Int, Int) -> Void
    ) throws(StoreError) -> (bytes: Int, oldEpoch: UInt32, epoch: UInt32) {
        let path = staging.path
        let sums = isBackup ? try BackupFiles.readSums(source) : nil
        let formatName = isBackup ? BackupFiles.storeFormat : "format"
        let segments = try Journal.segments(in: source + "/journal").map { "journal/" + Journal.name($0) }
        let names = segments + ["keyring", formatName, BackupFiles.database]
        if let sums { try checkNames(sums, names + ["epoch", BackupFiles.manifest]) }
        for name in ["lmdb", "journal"] { try FileSystem.makeFolder(path + "/" + name) }
        // First: whatever a kill leaves behind has no old epoch.
        let oldEpoch = try DataFolder.readEpoch(source)
        let epoch = try Restore.epoch(after: oldEpoch, wallMs: wallMs, source)
        try FileSystem.replace(path + "/epoch", with: Array("\(epoch)\n".utf8))
        var sizes: [Int] = []
        for name in names { sizes.append(try FileDescriptor(source + "/" + name, O_RDONLY).size) }
        let total = sizes.reduce(0, +)
        try staging.checkRoom(total)
        var done = 0
        for (name, size) in zip(names, sizes) {
            let before = done
            let copy = FileCopy(isCancelled: isCancelled, progress: { progress(before + $0, total) })
            let target = path + "/" + (name == formatName ? "format" : name)
            let digest = try copy.copy(source + "/" + name, to: target, bytes: size)
            if let sums, sums[name] != digest { throw Restore.changed(source + "/" + name) }
            done += size
        }
        try BranchWalk.check(path + "/" + BackupFiles.database)
        try FileSystem.replace(path + "/lock", with: [])
        for name in ["/lmdb", "/journal", ""] { try FileSystem.syncFolder(path + name) }
        return (total, oldEpoch, epoch)
    }

    /// `SHA256SUMS` and the folder speak of the same files, and the small ones that aren't copied are whole.
    private func checkNames(_ sums: [String: String], _ names: [String]) throws(StoreError) {
        for name in sums.keys.sorted() where !names.contains(name) {
            throw .damaged(
                path: source + "/" + name, detail: "\(BackupFiles.sums) names it, and it isn't there")
        }
        for name in names where sums[name] == nil {
            throw .damaged(path: source + "/" + name, detail: "\(BackupFiles.sums) doesn't name it")
        }
        for name in ["epoch", BackupFiles.manifest]
        where try sums[name] != FileCopy.digest(of: source + "/" + name) {
            throw Restore.changed(source + "/" + name)
        }
    }

    private static func changed(_ path: String) -> StoreError {
        .damaged(
            path: path,
            detail:
                "its SHA-256 isn't the one in \(BackupFiles.sums): it has changed since the backup was made")
    }

    /// Later than the copy's, and by the clock, so that two restores of one copy don't share it.
    private static func epoch(after old: UInt32, wallMs: UInt64, _ source: String) throws(StoreError)
        -> UInt32
    {
        guard old < .max else {
            throw .damaged(path: source + "/epoch", detail: "there is no epoch after \(old)")
        }
        return max(old + 1, UInt32(clamping: wallMs / 1_000))
    }

    /// As a start does: every data key must open, the journal must be whole. The checkpoint leaves a journal
    /// that the next start needn't read.
    private func open(
        _ staging: StagingFolder, _ master: borrowing SecretBytes, _ empty: Report
    ) throws(StoreError) -> Report {
        var report = empty
        let store = try Store(opening: try options.opening(staging.path), master: master)
        report.sequence = store.syncedSequence
        report.clock = store.recovery.lastClock
        report.droppedTornTail = store.recovery.droppedTornTail
        do throws(StoreError) { try store.close(now: store.lastCommitMs) } catch {
            store.abandon()
            throw error
        }
        report.rows = store.statistics.file.rows
        return report
    }
}

extension StoreOptions {
    /// For a folder that is opened once, to be closed again: its segments are as large as those that are
    /// there.
    func opening(_ path: String) throws(StoreError) -> StoreOptions {
        var options = self
        options.path = path
        options.commit = .inline
        if let newest = try Journal.segments(in: path + "/journal").last {
            let bytes = try FileDescriptor(Journal.path(path + "/journal", newest), O_RDONLY).size
            if bytes >= 4_096, bytes % JournalRecord.alignment == 0 { options.segmentBytes = bytes }
        }
        return options
    }
}
