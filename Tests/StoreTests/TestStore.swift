import Foundation
import LibCrypto

@testable import Store

/// A data folder in a temp folder, with small sizes, and the store open in it.
final class TestStore {
    static let tables = [
        TableSpec(id: 0, name: "timed", keyBytes: 16, order: .time),
        TableSpec(id: 1, name: "scattered", keyBytes: 17, order: .random),
        TableSpec(id: 2, name: "kept", keyBytes: 14, order: .random),
    ]

    let root: URL
    var options: StoreOptions
    private(set) var store: Store?
    private(set) var engineMs: UInt64 = 1_000_000
    private let synced = DispatchSemaphore(value: 0)

    var path: String { options.path }

    init(
        commit: CommitMode = .inline, segmentBytes: Int = 128 << 10, overlayRecords: Int = 4_096, maxRows: Int = .max,
        checkpointMs: UInt64 = 1 << 40
    ) throws {
        root = FileManager.default.temporaryDirectory.appending(path: "otpd-store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        options = StoreOptions(path: root.path + "/data", tables: TestStore.tables)
        options.mapBytes = 256 << 20
        options.overlayRecords = overlayRecords
        options.overlayBytes = 1 << 20
        options.segmentBytes = segmentBytes
        options.commit = commit
        // Checkpoints happen when a test says so.
        options.checkpointMs = checkpointMs
        options.tables[0].maxRows = maxRows
        try Store.create(at: options.path, master: TestStore.master())
        try open()
    }

    deinit {
        store?.abandon()
        try? FileManager.default.removeItem(at: root)
    }

    static func master(_ byte: UInt8 = 7) -> SecretBytes {
        SecretBytes(count: 32) { $0.initializeMemory(as: UInt8.self, repeating: byte) }
    }

    func open(master byte: UInt8 = 7) throws {
        let opened = try Store(opening: options, master: TestStore.master(byte))
        let semaphore = synced
        opened.onSynced = { semaphore.signal() }
        store = opened
    }

    /// As a kill -9 leaves it: no checkpoint, no goodbye.
    func crash() {
        store?.abandon()
        store = nil
    }

    /// As a power cut leaves it on an honest disk: all that was synced, and the crash note of long ago, if any.
    func losePower() throws {
        crash()
        try loseNote()
    }

    func loseNote() throws { try FileManager.default.removeItem(at: file("crash-note")) }

    func reopen() throws {
        crash()
        try open()
    }

    func close() throws {
        try live.close(now: engineMs)
        store = nil
    }

    var live: Store {
        get throws {
            guard let store else { throw StoreError.poisoned }
            return store
        }
    }

    // MARK: records

    func put(_ table: UInt8, _ key: [UInt8], _ value: [UInt8], expiresAt: UInt64 = 0) throws {
        let store = try live
        key.withUnsafeBytes { k in
            value.withUnsafeBytes { v in store.put(table: table, key: k, value: v, expiresAt: expiresAt) }
        }
    }

    func delete(_ table: UInt8, _ key: [UInt8]) throws {
        let store = try live
        key.withUnsafeBytes { store.delete(table: table, key: $0) }
    }

    /// Commits the open batch; in overlapped mode it waits for the journal thread.
    func commit() throws {
        engineMs += 1
        if try live.commit(clock: clock) == .started { try finish() }
    }

    var clock: StoreClock {
        StoreClock(bootID: (1, 2), boottimeMs: engineMs, engineMs: engineMs, wallMs: engineMs + 5)
    }

    /// Waits for the journal thread's report and takes it.
    func finish() throws {
        synced.wait()
        try live.finishCommit()
    }

    /// One record, one commit.
    func write(_ number: Int, table: UInt8 = 2) throws {
        try put(table, TestStore.key(number, table), Array("value \(number)".utf8))
        try commit()
    }

    func checkpoint() throws { try live.checkpointNow(now: engineMs) }

    func advance(_ milliseconds: UInt64) { engineMs += milliseconds }

    func read(_ table: UInt8, _ key: [UInt8]) throws -> [UInt8]? {
        let (result, buffer) = try find(table, key)
        return result.length < 0 ? nil : Array(buffer.prefix(result.length))
    }

    /// What a read finds, but for the value.
    func result(_ table: UInt8, _ key: [UInt8]) throws -> ReadResult { try find(table, key).result }

    private func find(_ table: UInt8, _ key: [UInt8]) throws -> (result: ReadResult, buffer: [UInt8]) {
        let store = try live
        var buffer = [UInt8](repeating: 0, count: 4096)
        let result = try key.withUnsafeBytes { k in
            try buffer.withUnsafeMutableBytes { try store.read(table: table, key: k, now: engineMs, into: $0) }
        }
        return (result, buffer)
    }

    func has(_ number: Int, table: UInt8 = 2) throws -> Bool {
        try read(table, TestStore.key(number, table)) == Array("value \(number)".utf8)
    }

    func scan(_ table: UInt8, from start: [UInt8] = []) throws -> [(key: [UInt8], value: [UInt8])] {
        var found: [(key: [UInt8], value: [UInt8])] = []
        try live.scan(table: table, from: start, now: engineMs) { key, value, _ in
            found.append((Array(key), Array(value)))
            return true
        }
        return found
    }

    /// A key of the table's width that orders by number.
    static func key(_ number: Int, _ table: UInt8) -> [UInt8] {
        let width = tables[Int(table)].keyBytes
        var key = [UInt8](repeating: 0, count: width)
        for index in 0..<8 { key[index] = UInt8(truncatingIfNeeded: number >> (56 - 8 * index)) }
        return key
    }

    // MARK: files

    func file(_ name: String) -> URL { URL(filePath: path + "/" + name) }

    /// The journal's first segment that there is.
    func newestSegment() throws -> URL {
        let names = try FileManager.default.contentsOfDirectory(atPath: path + "/journal").filter { $0.hasSuffix(".seg") }
        return file("journal/" + (names.sorted().last ?? ""))
    }

    func edit(_ url: URL, _ change: (inout [UInt8]) -> Void) throws {
        var bytes = Array(try Data(contentsOf: url))
        change(&bytes)
        try Data(bytes).write(to: url)
    }

    /// Where the segment's records of this store begin, with their sequence numbers; stale ones of recycled segments are left out.
    func records(in url: URL) throws -> [(offset: Int, sequence: UInt64, bytes: Int)] {
        let bytes = Array(try Data(contentsOf: url))
        let number = UInt64(url.lastPathComponent.dropLast(4)) ?? 0
        return bytes.withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: 512).compactMap { offset in
                guard let header = JournalRecord.parse(raw.slice(offset, raw.count - offset)), header.segment == number
                else { return nil }
                return (offset, header.sequence, header.paddedBytes)
            }
        }
    }
}
