import Glibc
public import LibCrypto

/// Opens a data folder once, which brings up to date what an older otpd wrote in another way, and closes it
/// again.
public struct Upgrade {
    /// What a folder is written in.
    public struct Formats: Sendable, Equatable {
        /// The first line of `format`.
        public var store: String
        public var keyring: UInt32
        /// Of what LMDB's databases hold; `nil` = they don't say.
        public var database: UInt32?
        /// Of the newest journal record that the database holds; `nil` = there is none.
        public var journal: UInt32?
    }

    /// Before and after. `after.journal` is what new records have.
    public struct Report: Sendable {
        public var before: Formats
        public var after: Formats
        /// Journal records that weren't in the database yet.
        public var replayed: Int
        public var sequence: UInt64
    }

    private let options: StoreOptions

    /// - Parameter options: the folder's path and tables.
    public init(options: StoreOptions) { self.options = options }

    /// Refuses a folder that an otpd serves.
    @discardableResult
    public func run(master: borrowing SecretBytes) throws(StoreError) -> Report {
        let path = options.path
        _ = try DataFolder.readFormat(path)
        try DataFolder.checkPrivate(path)
        // Let go at once: the store takes it for itself.
        _ = try DataFolder.Lock(path)
        let before = try Upgrade.formats(of: path)
        let (replayed, sequence) = try open(master)
        var after = try Upgrade.formats(of: path)
        after.journal = UInt32(JournalRecord.format)
        return Report(before: before, after: after, replayed: replayed, sequence: sequence)
    }

    private func open(_ master: borrowing SecretBytes) throws(StoreError) -> (replayed: Int, sequence: UInt64)
    {
        let store = try Store(opening: try options.opening(options.path), master: master)
        do throws(StoreError) { try store.close(now: store.lastCommitMs) } catch {
            store.abandon()
            throw error
        }
        return (store.recovery.replayed, store.syncedSequence)
    }

    private static func formats(of path: String) throws(StoreError) -> Formats {
        let line = String(decoding: try FileSystem.contents(path + "/format", limit: 4096), as: UTF8.self)
        let keyring = try FileSystem.contents(path + "/keyring")
        guard keyring.count >= 8 else {
            throw .damaged(path: path + "/keyring", detail: "the keyring's head is not one")
        }
        let reader = try DatabaseReader(folder: path)
        return Formats(
            store: line.split(separator: "\n").first.map(String.init) ?? "",
            keyring: keyring.withUnsafeBytes { $0.u32(4) },
            database: try reader.format(), journal: try journalFormat(path, try reader.position()))
    }

    private static func journalFormat(_ path: String, _ position: Position) throws(StoreError) -> UInt32? {
        guard position.sequence > 0 else { return nil }
        let file = try FileDescriptor(Journal.path(path + "/journal", position.segment), O_RDONLY)
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 8)
        defer { head.deallocate() }
        guard try file.read(into: head, at: Int(position.offset)) == 6 else { return nil }
        return UInt32(UnsafeRawBufferPointer(head).u16(4))
    }
}
