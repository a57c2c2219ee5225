import CLMDB
import Foundation
import Glibc
import LibCrypto
@testable import Store
import Testing

/// The data keys of a folder that was opened many times.
@Suite struct KeyringTests {
    /// A keyring of `count` keys, which are one key under `count` numbers.
    private func path(in folder: TestStore, keys count: Int) throws -> String {
        let path = folder.path + "/many"
        try Keyring.create(at: path, master: TestStore.master())
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let wrap = AEAD(HKDF.sha256(key: TestStore.master(), info: "otpd/1/wrap", count: 32))
        var entry = [UInt8](repeating: 0, count: 72)
        let plain = [UInt8](repeating: 5, count: 32)
        for id in 1...UInt32(count) {
            entry.withUnsafeMutableBytes { raw in
                raw.set(0, id)
                raw.set(12, id)
                let view = UnsafeRawBufferPointer(raw)
                plain.withUnsafeBytes {
                    wrap.seal(nonce: view.slice(12, 12), aad: view.slice(0, 12), plaintext: $0, into: raw.slice(24, 48))
                }
            }
            bytes.append(contentsOf: entry)
        }
        withUnsafeBytes(of: UInt32(count).bigEndian) { bytes.replaceSubrange(24..<28, with: $0) }
        try bytes.write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Mappings of this process: one a key ended the start at 65,530.
    private func mappings() throws -> Int {
        try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n").count
    }

    @Test func theLastStartSucceedsAndTheNextIsRefused() throws {
        let test = try TestStore()
        let path = try path(in: test, keys: Keyring.capacity - 1)
        let before = try mappings()
        let begin = ContinuousClock.now
        let keyring = try Keyring(opening: path, master: TestStore.master())
        let took = ContinuousClock.now - begin
        #expect(keyring.count == Keyring.capacity)
        #expect(try mappings() < before + 50, "keys take mappings")
        #expect(took < .seconds(10))
        print("a start with \(keyring.count) data keys: \(took)")
        #expect(keyring.remark?.contains("0 more starts") == true)
        do {
            _ = try Keyring(opening: path, master: TestStore.master())
            Issue.record("one more start")
        } catch {
            #expect(error == .keyringFull(path: path, starts: Keyring.capacity))
            #expect("\(error)".contains("otpd init --data"))
        }
    }

    @Test func theRemarkComesLongBefore() {
        #expect(Keyring.remark(count: 58_000, path: "k") == nil)
        #expect(Keyring.remark(count: 58_999, path: "k")?.contains("6537 more starts") == true)
    }

    /// Rows of more starts than ciphers are kept, in an order that finds none of them kept.
    @Test func ciphersOfOldKeysAreBounded() throws {
        let test = try TestStore()
        let count = UInt32(TableOpener.maxCiphers + 40)
        let keyring = try Keyring(opening: try path(in: test, keys: Int(count)), master: TestStore.master())
        let opener = TableOpener(keyring)
        let key: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        let value: [UInt8] = [9, 9, 9]
        var rows: [[UInt8]] = []
        for id in 1...count {
            let sealer = TableSealer(try #require(try keyring.key(id)))
            rows.append(
                key.withUnsafeBytes { key in
                    value.withUnsafeBytes { value in
                        Array(sealer.seal(table: 1, key: key, value: value, epoch: 1, expiresAt: 0, sequence: 1))
                    }
                })
        }
        var plain = [UInt8](repeating: 0, count: 64)
        let begin = ContinuousClock.now
        for row in rows + rows {
            let length = try key.withUnsafeBytes { key in
                try row.withUnsafeBytes { row in
                    try plain.withUnsafeMutableBytes { try opener.open(table: 1, key: key, sealed: row, into: $0) }
                }
            }
            #expect(length == 3 && plain[0] == 9)
        }
        print("a read that unwraps its key: \((ContinuousClock.now - begin) / (2 * Int(count)))")
        #expect(opener.keptCiphers == TableOpener.maxCiphers)
    }

    /// Opens, writes, folds, and waits for the pruner if it is at work.
    private func life(_ test: TestStore, _ number: Int) throws {
        try test.reopen()
        try test.write(number)
        try test.checkpoint()
        let end = ContinuousClock.now + .seconds(10)
        while try test.live.pruner != nil, try test.live.statistics.droppedKeys == 0, ContinuousClock.now < end {
            try test.write(999)
            try test.checkpoint()
        }
    }

    /// Keys that no row needs go; what is left is read, by this start and by later ones.
    @Test func keysThatNoRowNeedsGo() throws {
        let test = try TestStore()
        test.options.pruneKeysFrom = 12
        for number in 1...10 { try life(test, number % 3) }
        #expect(try test.live.keyring.count == 11 && test.live.pruner == nil)
        // Rows 0, 1 and 2 are of the last three lives; 999 of this one.
        try life(test, 3)
        #expect(try test.live.statistics.droppedKeys == 12 - 4)
        for number in 0...3 { #expect(try test.has(number)) }
        let keyring = try FileSystem.contents(test.path + "/keyring")
        #expect(keyring.count == 28 + 4 * 72 && keyring[7] == 2)
        try test.reopen()
        #expect(try test.live.keyring.count == 5 && test.live.keyring.newest.id == 13)
        for number in 0...3 { #expect(try test.has(number)) }
        #expect(try test.live.keyring.key(2) == nil)
        for number in 4...9 { try life(test, number) }
        for number in 0...9 { #expect(try test.has(number)) }
    }

    /// It is upkeep: a full table of readers ends nothing.
    @Test func whatCannotBeLookedForStays() throws {
        let test = try TestStore()
        test.options.pruneKeysFrom = 3
        for number in 1...2 {
            try test.write(number)
            try test.reopen()
        }
        var readers: [OpaquePointer] = []
        while let reader = try? test.live.environment.begin(readOnly: true) { readers.append(reader) }
        defer { for reader in readers { mdb_txn_abort(reader) } }
        for number in 3...20 {
            try test.write(number)
            try test.checkpoint()
            usleep(1_000)
        }
        #expect(try test.live.pruner != nil && test.live.statistics.droppedKeys == 0)
        for number in 1...20 { #expect(try test.has(number)) }
    }

    /// A start that has checkpointed nothing of its own drops nothing: the journal's records are of former ones.
    @Test func nothingGoesBeforeACheckpointOfItsOwn() throws {
        let test = try TestStore()
        test.options.pruneKeysFrom = 2
        for number in 0..<5 {
            try test.reopen()
            try test.write(number)
        }
        try test.reopen()
        try test.checkpoint()
        #expect(try test.live.pruner == nil)
        try test.reopen()
        for number in 0..<5 { #expect(try test.has(number)) }
    }

    /// Entries that stand in another order, or twice, are no keyring.
    @Test func idsAscend() throws {
        let test = try TestStore()
        let path = try path(in: test, keys: 3)
        try test.edit(URL(fileURLWithPath: path)) { bytes in
            bytes[7] = 2
            bytes.replaceSubrange(28..<100, with: Array(bytes[100..<172]))
        }
        #expect(throws: StoreError.self) { _ = try Keyring(opening: path, master: TestStore.master()) }
    }
}
