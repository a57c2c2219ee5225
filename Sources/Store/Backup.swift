import CLinuxShim
import Glibc

/// A copy of a data folder, made while an otpd serves it, from another process, without the master key:
/// sealed bytes are copied as they are.
///
/// It holds what had been acknowledged when it was begun, and nothing of it is missing: LMDB's file as one
/// transaction left it, and the journal from that transaction's position to the newest record (SCHEMA §11).
/// It writes nothing into the data folder but its place in LMDB's table of readers.
public struct Backup {
    /// Bytes of the database copied a second, unless said.
    public static let defaultBytesPerSecond = 50 << 20
    /// A try fails when a checkpoint passes on to another segment between two looks some milliseconds apart.
    static let tries = 50

    /// What was copied.
    public struct Report: Sendable {
        public var epoch: UInt32
        /// Of the newest journal record; 0 = there is none.
        public var sequence: UInt64
        /// The times that the newest record carries.
        public var clock: StoreClock
        public var databaseBytes: Int
    }

    /// Bytes of the database.
    public struct Progress: Sendable {
        public var copied: Int
        public var total: Int
    }

    private let data: String
    private let folder: String
    private let bytesPerSecond: Int
    /// For tests, which hold the data folder open in this process.
    var environment: LMDBEnvironment?
    /// For tests: called when the snapshot is taken and the journal isn't copied.
    var onSnapshot: () throws -> Void = {}

    /// - Parameters:
    ///   - data: the data folder.
    ///   - folder: the backup's folder; not there, or empty.
    public init(of data: String, to folder: String, bytesPerSecond: Int = defaultBytesPerSecond) {
        precondition(bytesPerSecond > 0, "a pace is above 0")
        self.data = data
        self.folder = folder
        self.bytesPerSecond = bytesPerSecond
    }

    /// What belongs together: one state of the store.
    private struct State {
        var snapshot: DatabaseSnapshot
        var end: Position
        var keyring: [UInt8]
        var epoch: UInt32
    }

    /// Makes the backup. After an error nothing of it is left.
    /// - Parameter isCancelled: asked often; true ends it with `cancelled`.
    @discardableResult
    public func run(
        isCancelled: @escaping () -> Bool = { false }, progress: @escaping (Progress) -> Void = { _ in }
    ) throws(StoreError) -> Report {
        let uuid = try DataFolder.readFormat(data)
        try checkOwner()
        try BackupFiles.refuseNesting(of: folder, in: data)
        let staging = try StagingFolder(for: folder)
        do throws(StoreError) {
            try BackupFiles.removeUnfinished(in: FileSystem.parent(of: staging.target))
            let report = try fill(staging, uuid, isCancelled, progress)
            if isCancelled() { throw .cancelled(path: folder) }
            try staging.publish()
            return report
        } catch {
            staging.discard()
            if case .cancelled = error { throw .cancelled(path: folder) }
            throw error
        }
    }

    /// Root would leave files in the data folder that otpd can't open.
    private func checkOwner() throws(StoreError) {
        var info = stat()
        guard stat(data, &info) == 0 else { throw .io(operation: "stat", path: data, code: errno) }
        guard info.st_uid == geteuid() else {
            throw .notOwner(path: data, detail: "belongs to uid \(info.st_uid), and this is uid \(geteuid())")
        }
    }

    private func fill(
        _ staging: StagingFolder, _ uuid: (UInt64, UInt64), _ isCancelled: @escaping () -> Bool,
        _ progress: @escaping (Progress) -> Void
    ) throws(StoreError) -> Report {
        let path = staging.path
        try FileSystem.replace(path + "/" + BackupFiles.unfinished, with: [])
        try FileSystem.makeFolder(path + "/lmdb")
        try FileSystem.makeFolder(path + "/journal")
        let reader: DatabaseReader
        if let environment {
            reader = DatabaseReader(sharing: environment, folder: data)
        } else {
            reader = try DatabaseReader(folder: data)
        }
        let state = try takeState(reader, path, uuid, isCancelled)
        let total = state.snapshot.bytes
        try staging.checkRoom(total)
        var digests: [(name: String, digest: String)] = []
        let copy = FileCopy(
            bytesPerSecond: bytesPerSecond, isCancelled: isCancelled,
            progress: { progress(Progress(copied: $0, total: total)) })
        let database = path + "/" + BackupFiles.database
        digests.append(
            (
                BackupFiles.database,
                try copy.copy(reader.file, to: database, bytes: total, head: state.snapshot.heads)
            ))
        try BranchWalk.check(database)
        try checkDatabase(path, state.snapshot.position)
        for segment in try Journal.segments(in: path + "/journal") {
            let name = "journal/" + Journal.name(segment)
            try FileDescriptor(path + "/" + name, O_RDONLY).sync()
            digests.append((name, try FileCopy.digest(of: path + "/" + name)))
        }
        let report = Report(
            epoch: state.epoch, sequence: state.end.sequence, clock: state.end.clock, databaseBytes: total)
        let small: [(String, [UInt8])] = [
            ("keyring", state.keyring), ("epoch", Array("\(state.epoch)\n".utf8)),
            (BackupFiles.storeFormat, try FileSystem.contents(data + "/format", limit: 4096)),
            (BackupFiles.manifest, manifest(report)),
        ]
        for (name, bytes) in small {
            try FileSystem.replace(path + "/" + name, with: bytes)
            digests.append((name, BackupFiles.digest(of: bytes)))
        }
        try FileSystem.replace(path + "/" + BackupFiles.sums, with: BackupFiles.sumsText(digests))
        try FileSystem.remove(path + "/" + BackupFiles.unfinished)
        for name in ["lmdb", "journal"] { try FileSystem.syncFolder(path + "/" + name) }
        return report
    }

    /// A snapshot and the journal that goes with it: begun anew until nothing of it was used again, and no
    /// start added a key, while it was copied.
    private func takeState(
        _ reader: DatabaseReader, _ path: String, _ uuid: (UInt64, UInt64), _ isCancelled: () -> Bool
    ) throws(StoreError) -> State {
        for _ in 0..<Backup.tries {
            if isCancelled() { throw .cancelled(path: folder) }
            let keyring = try FileSystem.contents(data + "/keyring")
            let epoch = try DataFolder.readEpoch(data)
            // Before the journal is read: it must hold all of this.
            let bound = try CrashNote.bound(in: data, uuid: uuid)
            let snapshot = try reader.snapshot()
            do { try onSnapshot() } catch { throw .cancelled(path: folder) }
            let outcome = try JournalCopy.run(
                from: data + "/journal", to: path + "/journal", uuid: uuid, position: snapshot.position)
            // Segments are used again only after a position beyond them was committed.
            let isStill = try reader.position().segment <= snapshot.position.segment
            let (newestKeyring, newestEpoch) = (
                try FileSystem.contents(data + "/keyring"), try DataFolder.readEpoch(data)
            )
            if isStill, keyring == newestKeyring, epoch == newestEpoch {
                switch outcome {
                case .whole(let end):
                    if let bound, bound.epoch == epoch, bound.sequence > end.sequence {
                        throw .damaged(
                            path: data + "/journal",
                            detail: "it ends at record \(end.sequence), and \(bound.sequence) was acknowledged")
                    }
                    return State(snapshot: snapshot, end: end, keyring: keyring, epoch: epoch)
                case .broken(let error): throw error
                }
            }
            for name in try FileSystem.names(in: path + "/journal") {
                try FileSystem.remove(path + "/journal/" + name)
            }
        }
        throw .restless(path: data, tries: Backup.tries)
    }

    /// The copy opens as a start opens it, and is the snapshot.
    private func checkDatabase(_ path: String, _ position: Position) throws(StoreError) {
        guard try Backup.position(in: path) == position else {
            throw .damaged(path: data + "/lmdb", detail: "its copy isn't what was copied")
        }
        try FileSystem.remove(path + "/lmdb/lock.mdb")
    }

    private static func position(in path: String) throws(StoreError) -> Position {
        let environment = try LMDBEnvironment(path: path + "/lmdb", mapBytes: 1 << 20, tables: [])
        return try DatabaseReader(sharing: environment, folder: path).position()
    }

    private func manifest(_ report: Report) -> [UInt8] {
        let lines = [
            BackupFiles.format, "epoch \(report.epoch)", "sequence \(report.sequence)",
            "engine_ms \(report.clock.engineMs)",
            "wall_ms \(report.clock.wallMs)", "made_ms \(linux_realtime_nanos() / 1_000_000)",
            "database_bytes \(report.databaseBytes)",
        ]
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}
