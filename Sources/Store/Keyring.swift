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
/// Older keys stay wrapped in memory, as in the file, and are unwrapped for who needs one: a folder has one for each start of its life.
final class Keyring {
    static let magic: [UInt8] = Array("OTPK".utf8)
    static let format: UInt32 = 1
    private static let entryBytes = 4 + 8 + 12 + 32 + 16
    private static let headBytes = 4 + 4 + 16 + 4
    /// Starts of the server over a folder's life; at one a minute, 45 days of crash loop.
    static let capacity = 65_536
    /// From here on each start says how many are left: nine tenths.
    private static let remarkable = capacity / 10 * 9

    /// This start's.
    let newest: DataKey
    private let path: String
    private let wrap: AEAD
    /// The loop and the checkpointer unwrap older keys.
    private let unwrapping = Mutex(())
    private let bytes: [UInt8]

    /// Keys in it, this start's among them.
    var count: Int { Int(newest.id) }

    /// `nil` when there is none of this number.
    func key(_ id: UInt32) throws(StoreError) -> DataKey? {
        if id == newest.id { return newest }
        guard id >= 1, id < newest.id else { return nil }
        let secret = try unwrapping.withLock { (_) throws(StoreError) in try Keyring.unwrap(bytes, id, wrap, path) }
        return DataKey(id: id, secret: secret)
    }

    /// What an operator should know before the last place is taken.
    var remark: String? { Keyring.remark(count: count, path: path) }

    static func remark(count: Int, path: String) -> String? {
        guard count >= remarkable else { return nil }
        return "\(path) has places for \(capacity - count) more starts of \(capacity). Find out what restarts otpd so often: the last place is "
            + "the last start of this folder"
    }

    /// Writes an empty keyring for `master`.
    static func create(at path: String, master: borrowing SecretBytes) throws(StoreError) {
        var bytes = magic
        withUnsafeBytes(of: format.bigEndian) { bytes.append(contentsOf: $0) }
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
        guard format == Keyring.format else { throw .newerFormat(path: path, found: "keyring \(format)") }
        guard Array(bytes[8..<24]) == Keyring.checkValue(master) else { throw .wrongMasterKey(path: path) }
        let count = Int(bytes.withUnsafeBytes { $0.u32(24) })
        guard bytes.count == Keyring.headBytes + count * Keyring.entryBytes else {
            throw .damaged(path: path, detail: "the keyring's length doesn't fit its count")
        }
        for id in 0..<UInt32(count) { _ = try Keyring.unwrap(bytes, id + 1, wrap, path) }
        guard count < Keyring.capacity else { throw .keyringFull(path: path, starts: Keyring.capacity) }
        newest = Keyring.append(to: &bytes, id: UInt32(count + 1), wrap)
        self.bytes = bytes
        try FileSystem.replace(path, with: bytes)
    }

    private static func checkValue(_ master: borrowing SecretBytes) -> [UInt8] {
        HKDF.sha256(key: master, info: "otpd/1/key-check", count: 16).withUnsafeBytes { Array($0) }
    }

    private static func unwrap(
        _ bytes: [UInt8], _ id: UInt32, _ wrap: AEAD, _ path: String
    ) throws(StoreError) -> SecretBytes {
        let offset = headBytes + (Int(id) - 1) * entryBytes
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
        guard !failed, bytes.withUnsafeBytes({ $0.u32(offset) }) == id else {
            throw .damaged(path: path, detail: "data key \(id) doesn't open")
        }
        return secret
    }

    private static func append(to bytes: inout [UInt8], id: UInt32, _ wrap: AEAD) -> DataKey {
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
        bytes.withUnsafeMutableBytes { $0.set(24, id) }
        return DataKey(id: id, secret: secret)
    }
}
