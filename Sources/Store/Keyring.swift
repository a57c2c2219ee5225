import CLinuxShim
import Glibc
import LibCrypto
import Synchronization

/// One random data key; its two uses have separate subkeys.
final class DataKey {
    let id: UInt32
    private let secret: SecretBytes

    init(id: UInt32, secret: consuming SecretBytes) {
        self.id = id
        self.secret = secret
    }

    func journalCipher(for use: AEAD.Use = .both) -> AEAD { AEAD(subkey("journal"), for: use) }
    func tableCipher(for use: AEAD.Use = .both) -> AEAD { AEAD(subkey("table"), for: use) }
    func subkey(_ use: String) -> SecretBytes { HKDF.sha256(key: secret, info: "otpd/1/" + use, count: 32) }
}

/// The data keys, wrapped under the master key, in a file outside LMDB. A fresh key at every start makes counter nonces safe: no
/// nonce depends on anything that a crash or a restore can rewind.
///
/// Older keys stay wrapped in memory, as in the file, and are unwrapped for who needs one: a folder has one for each start of its life, until
/// `KeyPruner` finds that no row needs it.
final class Keyring {
    static let magic: [UInt8] = Array("OTPK".utf8)
    /// Ids without a gap; after the first pruning, 2.
    static let formats: (dense: UInt32, pruned: UInt32) = (1, 2)
    private static let entryBytes = 4 + 8 + 12 + 32 + 16
    private static let headBytes = 4 + 4 + 16 + 4
    /// Keys at a time. From half of it on, a start drops those that no row needs.
    static let capacity = 65_536
    static let pruneFrom = capacity / 2
    /// From here on each start says how many are left: nine tenths.
    private static let remarkable = capacity / 10 * 9

    /// This start's.
    let newest: DataKey
    private let path: String
    private let wrap: AEAD
    /// The loop and the checkpointer unwrap older keys.
    private let unwrapping = Mutex(())
    private let bytes: [UInt8]
    /// Of the entries, ascending.
    private let ids: [UInt32]

    /// Keys in it, this start's among them.
    var count: Int { ids.count }

    /// `nil` when there is none of this number.
    func key(_ id: UInt32) throws(StoreError) -> DataKey? {
        if id == newest.id { return newest }
        guard let index = index(of: id) else { return nil }
        let secret = try unwrapping.withLock { (_) throws(StoreError) in
            try Keyring.unwrap(bytes, index, id, wrap, path)
        }
        return DataKey(id: id, secret: secret)
    }

    private func index(of id: UInt32) -> Int? {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low < ids.count && ids[low] == id ? low : nil
    }

    /// Writes the file anew without the entries that aren't needed; those in memory stay. Returns how many went.
    /// No start may add one meanwhile: the folder's lock is held.
    func prune(keeping needed: Set<UInt32>) throws(StoreError) -> Int {
        let kept = ids.indices.filter { needed.contains(ids[$0]) || ids[$0] == newest.id }
        guard kept.count < ids.count else { return 0 }
        var pruned = Array(bytes.prefix(Keyring.headBytes))
        for index in kept {
            let offset = Keyring.headBytes + index * Keyring.entryBytes
            pruned.append(contentsOf: bytes[offset..<offset + Keyring.entryBytes])
        }
        pruned.withUnsafeMutableBytes {
            $0.set(4, Keyring.formats.pruned)
            $0.set(24, UInt32(kept.count))
        }
        try FileSystem.replace(path, with: pruned)
        return ids.count - kept.count
    }

    /// What an operator should know before the last place is taken.
    var remark: String? { Keyring.remark(count: count, path: path) }

    static func remark(count: Int, path: String) -> String? {
        guard count >= remarkable else { return nil }
        return "\(path) has places for \(capacity - count) more starts of \(capacity), for rows still need the keys of the others. Find out what "
            + "restarts otpd so often: the last place is the last start of this folder"
    }

    /// Writes an empty keyring for `master`.
    static func create(at path: String, master: borrowing SecretBytes) throws(StoreError) {
        var bytes = magic
        withUnsafeBytes(of: formats.dense.bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: checkValue(master))
        bytes.append(contentsOf: [0, 0, 0, 0])
        try FileSystem.replace(path, with: bytes)
    }

    /// Reads, checks each key, and adds a fresh one, durable before it is used.
    init(opening path: String, master: borrowing SecretBytes) throws(StoreError) {
        self.path = path
        wrap = AEAD(HKDF.sha256(key: master, info: "otpd/1/wrap", count: 32))
        var bytes = try FileSystem.contents(path)
        guard bytes.count >= Keyring.headBytes, Array(bytes[0..<4]) == Keyring.magic else {
            throw .damaged(path: path, detail: "the keyring's head is not one")
        }
        let format = bytes.withUnsafeBytes { $0.u32(4) }
        guard format == Keyring.formats.dense || format == Keyring.formats.pruned else { throw .newerFormat(path: path, found: "keyring \(format)") }
        guard Array(bytes[8..<24]) == Keyring.checkValue(master) else { throw .wrongMasterKey(path: path) }
        let count = Int(bytes.withUnsafeBytes { $0.u32(24) })
        guard bytes.count == Keyring.headBytes + count * Keyring.entryBytes else {
            throw .damaged(path: path, detail: "the keyring's length doesn't fit its count")
        }
        var ids: [UInt32] = []
        for index in 0..<count {
            let id = bytes.withUnsafeBytes { $0.u32(Keyring.headBytes + index * Keyring.entryBytes) }
            let isNext = format == Keyring.formats.dense ? id == UInt32(index + 1) : id > ids.last ?? 0
            guard isNext, id < .max else { throw .damaged(path: path, detail: "data key \(id) isn't in its place") }
            _ = try Keyring.unwrap(bytes, index, id, wrap, path)
            ids.append(id)
        }
        guard count < Keyring.capacity else { throw .keyringFull(path: path, starts: Keyring.capacity) }
        newest = Keyring.append(to: &bytes, id: (ids.last ?? 0) + 1, count: UInt32(count + 1), wrap)
        self.ids = ids + [newest.id]
        self.bytes = bytes
        try FileSystem.replace(path, with: bytes)
    }

    private static func checkValue(_ master: borrowing SecretBytes) -> [UInt8] {
        HKDF.sha256(key: master, info: "otpd/1/key-check", count: 16).withUnsafeBytes { Array($0) }
    }

    private static func unwrap(
        _ bytes: [UInt8], _ index: Int, _ id: UInt32, _ wrap: AEAD, _ path: String
    ) throws(StoreError) -> SecretBytes {
        let offset = headBytes + index * entryBytes
        var failed = false
        let secret = SecretBytes(count: 32) { output in
            bytes.withUnsafeBytes { raw in
                do {
                    _ = try wrap.open(
                        nonce: raw.slice(offset + 12, 12), aad: raw.slice(offset, 12), sealed: raw.slice(offset + 24, 48),
                        into: output)
                } catch { failed = true }
            }
        }
        guard !failed else {
            throw .damaged(path: path, detail: "data key \(id) doesn't open")
        }
        return secret
    }

    private static func append(to bytes: inout [UInt8], id: UInt32, count: UInt32, _ wrap: AEAD) -> DataKey {
        let secret = SecretBytes.random(count: 32)
        var entry = [UInt8](repeating: 0, count: entryBytes)
        entry.withUnsafeMutableBytes { raw in
            raw.set(0, id)
            raw.set(4, linux_realtime_nanos() / 1_000_000)
            Random.fill(raw.slice(12, 12))
            let view = UnsafeRawBufferPointer(raw)
            secret.withUnsafeBytes { plain in
                wrap.seal(nonce: view.slice(12, 12), aad: view.slice(0, 12), plaintext: plain, into: raw.slice(24, 48))
            }
        }
        bytes.append(contentsOf: entry)
        bytes.withUnsafeMutableBytes { $0.set(24, count) }
        return DataKey(id: id, secret: secret)
    }
}
